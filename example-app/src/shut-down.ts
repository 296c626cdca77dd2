const LOOK_EVERY = 500

/**
 * Ends this process in order when it is asked to. A Ctrl+C comes several times: from the terminal, and
 * again from npm; a second one must not cut off what the first began, or a memcached is left behind.
 */
export function onShutDown(work: () => Promise<void>): () => void {
  let isEnding = false
  const shutDown = (): void => {
    if (isEnding) return
    isEnding = true
    void work()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, shutDown)
  if (process.env.npm_lifecycle_event !== undefined) whenOrphaned(shutDown)
  return shutDown
}

/** npm passes a signal on to its shell, which ends and tells nobody: what npm started then has another parent. */
function whenOrphaned(work: () => void): void {
  const { ppid } = process
  setInterval(() => {
    if (process.ppid !== ppid) work()
  }, LOOK_EVERY).unref()
}
