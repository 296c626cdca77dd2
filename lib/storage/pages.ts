import type { MemcachedNode } from '../memcached/node.ts'
import type { ListedItem } from '../memcached/walk.ts'

/** Keys of one server that are held at a time: some 20 MB. */
const MAX_KEYS = 150_000
const LAST_BIT = 1 << 29

/**
 * Which keys to hold; asked about every key under the prefix, again in each walk.
 *
 * @param isFirst - is this the first walk? What needs no holding is best used then.
 */
export type Choose = (item: ListedItem, isFirst: boolean) => boolean

/**
 * The chosen keys of a server, in constant memory however many there are and however slowly they are
 * used. A walk cannot be paused (see `walk`), so it holds as many keys as may be held, and leaves the
 * rest to further walks: whenever it meets too many it keeps the half whose hashes end in one bit. A
 * key that is there all the time is given exactly once.
 */
export async function* pages(
  node: MemcachedNode,
  prefix: string,
  choose: Choose,
  signal: AbortSignal,
  mostKeys: number = MAX_KEYS,
): AsyncGenerator<ListedItem[], void, undefined> {
  const parts = [{ mask: 0, bits: 0 }]
  let isFirst = true
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const { bits } = part
    let { mask } = part
    let page: ListedItem[] = []
    const isPart = ({ key }: ListedItem): boolean => mask === 0 || (hash(key) & mask) === bits
    const take = (item: ListedItem): void => {
      if (!choose(item, isFirst) || !isPart(item)) return
      page.push(item)
      while (page.length > mostKeys && mask < LAST_BIT) {
        const bit = mask + 1
        mask |= bit
        parts.push({ mask, bits: bits | bit })
        page = page.filter(isPart)
      }
    }
    await node.walk({ prefix, take, signal })
    yield page
    isFirst = false
  }
}

/** FNV-1a: spreads keys evenly, and costs less than memcached does to send one. */
function hash(key: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < key.length; i++) value = Math.imul(value ^ key.charCodeAt(i), 0x01000193)
  return value ^ (value >>> 15)
}
