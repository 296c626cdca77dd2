/** One stored value. */
export interface Item {
  /** Latin-1: one character for each byte. */
  readonly key: string
  readonly value: Buffer
  readonly flags: number
  /** Changes with every write, never with a touch. */
  readonly cas: bigint
  /** Bytes it counts for; see `itemSize`. */
  readonly size: number
  /** Unix second from which it is gone; Infinity is never. */
  expires: number
  /** Unix second of the last read or write. */
  accessed: number
  /** Was it ever read? */
  fetched: boolean
}

/**
 * Bytes an item takes of `maxMemory`, and which `maxItemSize` bounds: memcached's own item header (48),
 * CAS (8), key, its NUL, value, CR LF, and flags unless 0. Measured on memcached 1.6.18: with `-I 1m` and a
 * key of one byte, a value of 1,048,516 bytes fits and one of 1,048,517 does not.
 */
export function itemSize(keyLength: number, valueLength: number, flags: number): number {
  return 59 + keyLength + valueLength + (flags === 0 ? 0 : 4)
}

/** Why nothing was done. */
export type Refusal = 'missing' | 'exists' | 'not a number'
