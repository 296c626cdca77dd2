import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { expiresAt } from '../../lib/embedded/expires-at.ts'
import { Storage } from '../../lib/embedded/storage.ts'
import { itemSize } from '../../lib/embedded/stored-item.ts'

const START = 1_800_000_000
let now = START
beforeEach(() => {
  now = START
})
const clock = (): number => now
const keysOf = (storage: Storage): string[] => storage.items().map(item => item.key)
const put = (storage: Storage, key: string, length = 1, expiration = 0): unknown =>
  storage.store('set', key, Buffer.alloc(length), 0, expiration)

test('an expiration is seconds up to 30 days, a date beyond, never for 0, at once below', () => {
  const month = 30 * 24 * 60 * 60
  expect(expiresAt(0, START)).toBe(Number.POSITIVE_INFINITY)
  expect(expiresAt(1, START)).toBe(START + 1)
  expect(expiresAt(month, START)).toBe(START + month)
  expect(expiresAt(month + 1, START)).toBe(month + 1)
  expect(expiresAt(START + 5, START)).toBe(START + 5)
  expect(expiresAt(-1, START)).toBeLessThanOrEqual(START)
})

describe('the clock', () => {
  test('an item is there until the second of its expiry', () => {
    const storage = new Storage(10_000, 10_000, clock)
    put(storage, 'a', 1, 10)
    now = START + 9
    expect(storage.get('a')).toBeDefined()
    expect(keysOf(storage)).toEqual(['a'])
    now = START + 10
    expect(keysOf(storage)).toEqual([])
    expect(storage.get('a')).toBeUndefined()
    expect([storage.length, storage.bytes]).toEqual([0, 0])
  })

  test('touch moves the expiry', () => {
    const storage = new Storage(10_000, 10_000, clock)
    put(storage, 'a', 1, 10)
    now = START + 9
    storage.touch('a', 10)
    now = START + 18
    expect(storage.get('a')).toMatchObject({ accessed: START + 18, fetched: true })
    now = START + 19
    expect(storage.get('a')).toBeUndefined()
  })

  test('counting keeps the expiry', () => {
    const storage = new Storage(10_000, 10_000, clock)
    storage.store('set', 'a', Buffer.from('9'), 0, 10)
    now = START + 9
    storage.count('a', { direction: 'incr', by: 1n, initial: 0n, expiration: 100, cas: 0n })
    expect(storage.get('a')?.value.toString()).toBe('10')
    now = START + 10
    expect(storage.get('a')).toBeUndefined()
  })

  test('a flush with a time waits for it', () => {
    const storage = new Storage(10_000, 10_000, clock)
    put(storage, 'a')
    storage.flush(10)
    now = START + 9
    expect(keysOf(storage)).toEqual(['a'])
    now = START + 10
    expect(storage.get('a')).toBeUndefined()
    put(storage, 'a')
    expect(storage.get('a')).toBeDefined()
  })
})

describe('the bound on memory', () => {
  const size = itemSize(1, 1, 0)

  test('the least recently used goes first', () => {
    const storage = new Storage(3 * size, 3 * size, clock)
    for (const key of ['a', 'b', 'c']) put(storage, key)
    storage.get('a')
    storage.touch('b', 0)
    put(storage, 'd')
    expect(keysOf(storage)).toEqual(['a', 'b', 'd'])
    put(storage, 'a')
    put(storage, 'e')
    expect(keysOf(storage)).toEqual(['d', 'a', 'e'])
    expect(storage.counts).toMatchObject({ evictions: 2, total_items: 6 })
  })

  test('a large item drives out as many as it needs', () => {
    const storage = new Storage(3 * size, 3 * size, clock)
    for (const key of ['a', 'b', 'c']) put(storage, key)
    put(storage, 'd', 1 + size)
    expect(keysOf(storage)).toEqual(['c', 'd'])
  })

  test('an item larger than all memory fits in no way', () => {
    expect(new Storage(2000, 1_000_000, clock).maxItemSize).toBe(2000)
    expect(new Storage(2000, 1_000_000, clock).fits(1, 2000 - 60, 0)).toBe(true)
    expect(new Storage(2000, 1_000_000, clock).fits(1, 2000 - 59, 0)).toBe(false)
  })

  test('a stored value is a copy', () => {
    const storage = new Storage(10_000, 10_000, clock)
    const bytes = Buffer.from('abc')
    storage.store('set', 'a', bytes, 0, 0)
    bytes.fill('x')
    expect(storage.get('a')?.value.toString()).toBe('abc')
  })

  test('whatever is done, it counts what it holds, and never holds more than it may', () => {
    const key = fc.constantFrom('a', 'b', 'cc', 'ddd')
    const step = fc.oneof(
      fc.record({ do: fc.constant('set'), key, length: fc.nat(900), life: fc.nat(3) }),
      fc.record({ do: fc.constant('incr'), key, length: fc.nat(2000), life: fc.nat(3) }),
      fc.record({
        do: fc.constantFrom('get', 'touch', 'delete', 'wait', 'flush'),
        key,
        length: fc.nat(1),
        life: fc.nat(3),
      }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        now = START
        const storage = new Storage(2000, 1000, clock)
        for (const { do: what, key, length, life } of steps) {
          if (what === 'set') put(storage, key, length, life)
          if (what === 'incr') {
            storage.count(key, {
              direction: 'incr',
              by: 1n,
              initial: BigInt(length),
              expiration: life,
              cas: 0n,
            })
          }
          if (what === 'get') storage.get(key)
          if (what === 'touch') storage.touch(key, life)
          if (what === 'delete') storage.delete(key, 0n)
          if (what === 'wait') now += 1
          if (what === 'flush') storage.flush(life)
          expect(storage.bytes).toBeLessThanOrEqual(2000)
        }
        // Reading removes what is dead, so that all that counts is listed.
        for (const key of ['a', 'b', 'cc', 'ddd']) storage.get(key)
        const listed = storage.items()
        expect(storage.length).toBe(listed.length)
        expect(storage.bytes).toBe(listed.reduce((sum, item) => sum + item.size, 0))
      }),
    )
  })
})
