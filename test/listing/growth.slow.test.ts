import { expect, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { fill, sidOf, stored } from './fill.ts'

const ROUNDS = 8
const PREFIX = 'growth:'
/** So many items let a table grow that begins with 8,192 places, once more with each. */
const SIZES = [12_300, 24_600, 49_200]

test.runIf(hasMemcached)('listing again and again while the hash table grows stops no server', async () => {
  const value = stored(1, '')
  for (let round = 0; round < ROUNDS; round++) {
    await using memcached = await Memcached.start('-o', 'hashpower=13')
    await using store = new MemcachedStore({ servers: memcached.address, prefix: PREFIX, timeout: 2000 })
    for (const size of SIZES) {
      await fill(memcached.address, size, number => [PREFIX + sidOf(number), value])
      const end = performance.now() + 1100
      do expect(await store.length()).toBe(size)
      while (performance.now() < end)
    }
    await store.set('after', JSON.parse(value))
    expect(await store.get('after')).not.toBeNull()
  }
})
