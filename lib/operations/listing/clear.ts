import type { MemcachedNode } from '../../memcached/node.ts'
import type { ListedItem } from '../../memcached/walk.ts'
import type { Context } from '../context.ts'
import { pages } from './pages.ts'
import { onEach } from './side-by-side.ts'

/** Deletes that are on their way at a time. */
const AT_ONCE = 256

/** Deletes every key under the prefix: sessions, tombstones, indexes and locks, and nothing else. */
export function clear(context: Context): Promise<void> {
  return onEach(context.cluster.nodes, async (node, signal) => {
    for await (const page of pages(node, context.keys.prefix, () => true, signal)) {
      for (let at = 0; at < page.length; at += AT_ONCE) await deleteAll(node, page.slice(at, at + AT_ONCE))
    }
  })
}

function deleteAll(node: MemcachedNode, items: readonly ListedItem[]): Promise<unknown> {
  return Promise.all(
    items.map(
      ({ key }) =>
        new Promise<void>((resolve, reject) => {
          node.delete(key, null, error => (error === null ? resolve() : reject(error)))
        }),
    ),
  )
}
