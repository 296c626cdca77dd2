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
  return shutDown
}
