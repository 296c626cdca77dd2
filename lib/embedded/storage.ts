import { expiresAt } from './expires-at.ts'
import { type Item, itemSize, type Refusal } from './stored-item.ts'

/** How a value is to be stored: always, only where none is, only over one, only over this very one. */
export type StoreMode = 'set' | 'add' | 'replace' | { readonly cas: bigint }

/** A change of a stored decimal number. */
export interface Delta {
  readonly direction: 'incr' | 'decr'
  readonly by: bigint
  readonly initial: bigint
  /** As memcached takes it, for a number that is not there yet; undefined does not create one. */
  readonly expiration: number | undefined
  /** Change only this very one. 0 is any. */
  readonly cas: bigint
}

/** What memcached counts, under its names. */
const COUNTERS =
  'cmd_get cmd_set cmd_flush cmd_touch get_hits get_misses get_expired delete_misses delete_hits ' +
  'incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits touch_misses ' +
  'store_too_large total_items evictions'

/** The items: expiry, CAS tokens, and the bound on memory, least recently used first. */
export class Storage {
  readonly counts: Record<string, number> = Object.fromEntries(COUNTERS.split(' ').map(name => [name, 0]))
  readonly maxMemory: number
  readonly maxItemSize: number
  readonly #now: () => number
  /** In order of use: what was used last is last. */
  readonly #items: Map<string, Item> = new Map()
  #bytes = 0
  #cas = 0n
  #flushAt = Number.POSITIVE_INFINITY

  /** `now` gives whole Unix seconds: memcached's clock is no finer. */
  constructor(maxMemory: number, maxItemSize: number, now: () => number) {
    this.maxMemory = maxMemory
    this.maxItemSize = Math.min(maxItemSize, maxMemory)
    this.#now = now
  }

  get bytes(): number {
    return this.#bytes
  }

  get length(): number {
    return this.#items.size
  }

  fits(keyLength: number, valueLength: number, flags: number): boolean {
    return itemSize(keyLength, valueLength, flags) <= this.maxItemSize
  }

  get(key: string): Item | undefined {
    this.#count('cmd_get')
    const item = this.#use(key)
    this.#count(item === undefined ? 'get_misses' : 'get_hits')
    return item
  }

  /** Reads an item and gives it a new expiration. Its CAS token stays. */
  touch(key: string, expiration: number): Item | undefined {
    this.#count('cmd_touch')
    const item = this.#use(key)
    this.#count(item === undefined ? 'touch_misses' : 'touch_hits')
    if (item !== undefined) item.expires = expiresAt(expiration, this.#now())
    return item
  }

  /** Keeps a copy of `value`, which must be one that `fits`. */
  store(mode: StoreMode, key: string, value: Uint8Array, flags: number, expiration: number): Item | Refusal {
    this.#count('cmd_set')
    const found = this.#find(key)
    if (typeof mode === 'object') {
      const refusal = unless(found, item => item.cas === mode.cas)
      this.#count(refusal === undefined ? 'cas_hits' : refusal === 'missing' ? 'cas_misses' : 'cas_badval')
      if (refusal !== undefined) return refusal
    }
    if (mode === 'add' && found !== undefined) return 'exists'
    if (mode === 'replace' && found === undefined) return 'missing'
    // A copy of its own: a view would keep the whole chunk it arrived in.
    const copy = Buffer.allocUnsafeSlow(value.length)
    copy.set(value)
    return this.#put(key, copy, flags, expiresAt(expiration, this.#now()))
  }

  /** Instead of `store` for what does not fit. memcached drops the old item of a SET rather than leave it stale. */
  refuse(mode: StoreMode, key: string): void {
    this.#count('store_too_large')
    if (mode === 'set') this.#remove(key)
  }

  /** `cas` 0 deletes whatever is there. */
  delete(key: string, cas: bigint): Refusal | undefined {
    const refusal = unless(this.#find(key), item => cas === 0n || cas === item.cas)
    this.#count(refusal === 'missing' ? 'delete_misses' : 'delete_hits')
    if (refusal === undefined) this.#remove(key)
    return refusal
  }

  /** Adds to or takes from a number of 64 bits: past the top it starts again at 0, below 0 it stays 0. */
  count(key: string, delta: Delta): Item | Refusal {
    const found = this.#use(key)
    this.#count(`${delta.direction}_${found === undefined ? 'misses' : 'hits'}`)
    if (found === undefined) {
      if (delta.expiration === undefined) return 'missing'
      const digits = Buffer.from(String(delta.initial))
      return this.#put(key, digits, 0, expiresAt(delta.expiration, this.#now()))
    }
    if (delta.cas !== 0n && delta.cas !== found.cas) return 'exists'
    // White space of C; 20 digits, which 64 bits never exceed.
    const number = /^[ \t-\r]*\+?0*(\d{1,20})([ \t-\r]|$)/.exec(found.value.toString('latin1'))?.[1]
    if (number === undefined || BigInt(number) > 0xffffffffffffffffn) return 'not a number'
    const sum = delta.direction === 'incr' ? BigInt(number) + delta.by : BigInt(number) - delta.by
    const digits = String(sum < 0n ? 0n : BigInt.asUintN(64, sum))
    // memcached writes a shorter number over the longer one, and blanks after it.
    const value = Buffer.from(digits.padEnd(found.value.length))
    return this.#put(key, value, found.flags, found.expires)
  }

  /** Forgets everything, at once or (as memcached takes an expiration) from a later moment on. */
  flush(expiration: number): void {
    this.#count('cmd_flush')
    this.#flushAt = expiration === 0 ? 0 : expiresAt(expiration, this.#now())
    this.#flushIfDue()
  }

  /** What is alive now. A snapshot: items that change meanwhile are neither missed nor doubled. */
  items(): Item[] {
    this.#flushIfDue()
    const now = this.#now()
    return [...this.#items.values()].filter(item => now < item.expires)
  }

  #use(key: string): Item | undefined {
    const item = this.#find(key)
    if (item === undefined) return undefined
    item.accessed = this.#now()
    item.fetched = true
    this.#items.delete(key)
    this.#items.set(key, item)
    return item
  }

  #find(key: string): Item | undefined {
    this.#flushIfDue()
    const item = this.#items.get(key)
    if (item === undefined || this.#now() < item.expires) return item
    this.#count('get_expired')
    this.#remove(key)
    return undefined
  }

  #put(key: string, value: Buffer, flags: number, expires: number): Item {
    this.#remove(key)
    this.#cas += 1n
    this.#count('total_items')
    const size = itemSize(key.length, value.length, flags)
    const [cas, accessed] = [this.#cas, this.#now()]
    const item: Item = { key, value, flags, cas, size, expires, accessed, fetched: false }
    this.#items.set(key, item)
    this.#bytes += size
    // Never reaches the item just stored: no item is larger than maxMemory.
    for (const oldest of this.#items.keys()) {
      if (this.#bytes <= this.maxMemory) break
      this.#remove(oldest)
      this.#count('evictions')
    }
    return item
  }

  #remove(key: string): void {
    this.#bytes -= this.#items.get(key)?.size ?? 0
    this.#items.delete(key)
  }

  #flushIfDue(): void {
    if (this.#now() < this.#flushAt) return
    this.#items.clear()
    this.#bytes = 0
    this.#flushAt = Number.POSITIVE_INFINITY
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1
  }
}

function unless(
  found: Item | undefined,
  isTheOne: (item: Item) => boolean,
): 'missing' | 'exists' | undefined {
  if (found === undefined) return 'missing'
  return isTheOne(found) ? undefined : 'exists'
}
