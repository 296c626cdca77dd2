/*
 * What sessions take in memcached 1.6 with its defaults, as its sources have it: `item_make_header` (items.c),
 * `slabs_init` (slabs.c), `assoc_insert` (assoc.c).
 */

/** An item's header, CAS token, the NUL after its key, and the line end after its value. */
const ITEM = 48 + 8 + 1 + 2
const FIRST_CHUNK = 96
const ALIGNMENT = 8
const MAX_CLASSES = 63
export const PAGE: number = 1024 * 1024
/** Larger items are put together of several chunks. */
const LARGEST_CHUNK: number = PAGE / 2
const FIRST_BUCKETS = 2 ** 16
const BUCKET = 8

/** Bytes of an item. */
export function itemBytes(keyLength: number, valueBytes: number): number {
  return ITEM + keyLength + valueBytes
}

/** Bytes of the chunk that an item takes, with this growth factor (`-f`). */
export function chunkFor(bytes: number, factor: number): number {
  let size = FIRST_CHUNK
  for (let i = 1; i < MAX_CLASSES && size < LARGEST_CHUNK / factor; i++) {
    size = Math.ceil(size / ALIGNMENT) * ALIGNMENT
    if (bytes <= size) return size
    size = Math.floor(size * factor)
  }
  return Math.ceil(bytes / LARGEST_CHUNK) * LARGEST_CHUNK
}

/** Bytes of the pages that so many chunks take: what `-m` limits. */
export function pageBytes(count: number, chunk: number): number {
  const perPage = Math.floor(PAGE / chunk)
  return perPage === 0 ? count * chunk : Math.ceil(count / perPage) * PAGE
}

/** Bytes of the table of keys, which `-m` does not count. */
export function tableBytes(items: number): number {
  let buckets = FIRST_BUCKETS
  while (items > (buckets * 3) / 2) buckets *= 2
  return buckets * BUCKET
}

/**
 * By how much the fullest of so many servers is above the mean, at most as a rule. A server has some 160 points on
 * the ring, so its share deviates by 1/√160 of the mean, and the greatest of n deviations is below √(2 ln n) of that.
 */
export function imbalance(servers: number): number {
  return 1 + Math.sqrt((2 * Math.log(servers)) / 160)
}
