import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Ring } from '../../lib/cluster/ring.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { programOf } from '../support/programs.ts'
import { fill, sidOf, stored } from './fill.ts'

const run = promisify(execFile)
const child = programOf(new URL('memory.child.ts', import.meta.url))
const COUNT = 100_000
const PREFIX = 'memory:'
const MAX_GROWTH = 50 * 1024 * 1024

async function measure(how: string, servers: readonly string[]): Promise<{ count: number; growth: number }> {
  const { stdout } = await run(process.execPath, ['--expose-gc', child, servers.join(), PREFIX, how])
  return JSON.parse(stdout)
}

describe.skipIf(!hasMemcached)('memory while 100,000 sessions are gone through', () => {
  test.each([1, 3])('grows by less than 50 MB, with %d server(s)', async servers => {
    const memcacheds = await Promise.all(Array.from({ length: servers }, () => Memcached.start('-m', '512')))
    try {
      const addresses = memcacheds.map(({ address }) => address)
      const ring = new Ring(addresses)
      const placed = addresses.map((): string[] => [])
      for (let number = 0; number < COUNT; number++) {
        const key = PREFIX + sidOf(number)
        placed[ring.home(key)]?.push(key)
        placed[number % servers]?.push(`other:${sidOf(number)}`)
      }
      const value = stored(1, 'n'.repeat(500))
      await Promise.all(
        addresses.map((address, index) => {
          const keys = placed[index] as string[]
          return fill(address, keys.length, number => [keys[number] as string, value])
        }),
      )
      const streamed = await measure('sessions', addresses)
      expect(streamed.count).toBe(COUNT)
      expect(streamed.growth).toBeLessThan(MAX_GROWTH)
      // The measure tells the difference.
      const whole = await measure('all', addresses)
      expect(whole.count).toBe(COUNT)
      expect(whole.growth).toBeGreaterThan(MAX_GROWTH)
    } finally {
      await Promise.all(memcacheds.map(memcached => memcached.kill()))
    }
  })
})
