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
  const waiting = new Map<AsyncGenerator<T>, Promise<Step<T>>>()
  const advance = (source: AsyncGenerator<T, void, undefined>): void => {
    const step = source.next().then(result => ({ source, result }))
    // It may fail while the consumer is busy with something else, and is seen when that comes back.
    step.catch(() => {})
    waiting.set(source, step)
  }
  for (const node of nodes) advance(start(node, stopping.signal))
  try {
    while (waiting.size > 0) {
      const { source, result } = await Promise.race(waiting.values())
      if (result.done) {
        waiting.delete(source)
      } else {
        advance(source)
        yield result.value
      }
    }
  } finally {
    stopping.abort()
  }
}

interface Step<T> {
  readonly source: AsyncGenerator<T, void, undefined>
  readonly result: IteratorResult<T, void>
}
