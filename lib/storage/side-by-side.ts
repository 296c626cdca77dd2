import type { MemcachedNode } from '../memcached/node.ts'

/** Does something with every server at once. The first failure stops the others. */
export async function onEach(
  nodes: readonly MemcachedNode[],
  task: (node: MemcachedNode, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController()
  try {
    await Promise.all(nodes.map(node => task(node, stopping.signal)))
  } finally {
    stopping.abort()
  }
}

/** What comes from every server, as it comes. A failure, or a consumer that has enough, stops them all. */
export async function* fromEach<T>(
  nodes: readonly MemcachedNode[],
  start: (node: MemcachedNode, signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const stopping = new AbortController()
  // Not `Promise.race`: one that waits long would keep everything alive that the others gave meanwhile.
  const ready: (() => T | undefined)[] = []
  let wake = (): void => {}
  let running = 0
  const advance = async (source: AsyncGenerator<T, void, undefined>): Promise<void> => {
    running++
    try {
      const { done, value } = await source.next()
      ready.push(() => {
        if (done) return undefined
        advance(source)
        return value
      })
    } catch (error) {
      ready.push(() => {
        throw error
      })
    }
    wake()
  }
  try {
    for (const node of nodes) advance(start(node, stopping.signal))
    while (running > 0) {
      if (ready.length === 0) await new Promise<void>(resolve => (wake = resolve))
      const take = ready.shift() as () => T | undefined
      running--
      const value = take()
      if (value !== undefined) yield value
    }
  } finally {
    stopping.abort()
  }
}
