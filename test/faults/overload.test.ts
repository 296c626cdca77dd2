import { describe, expect, test } from 'vitest'
import type { MemcachedStoreError } from '../../lib/index.ts'
import { MOST_BYTES, MOST_REQUESTS } from '../../lib/memcached/wire.ts'
import { Lab } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'
import { ownSession } from '../support/settle.ts'

const MIB = 1024 * 1024

describe.skipIf(!hasMemcached)('overload', () => {
  test('more requests than the limit fail at once', async () => {
    await using lab = await Lab.start({ timeout: 1000 })
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.silence()
    const beyond = 100
    const waiting = await operations.waiting(() => {
      for (let index = 0; index < MOST_REQUESTS + beyond; index++) void operations.get(`burst-${index}`)
    })
    expect(waiting).toBe(MOST_REQUESTS)
    const outcomes = await operations.settled()
    expect(outcomes.slice(-beyond)).toMatchObject(Array(beyond).fill({ error: { code: 'ERR_UNAVAILABLE' } }))
    await proxy.pass()
    await operations.recovered()
  })

  test('more bytes than the limit fail at once, and take no memory', async () => {
    await using lab = await Lab.start({ timeout: 1000 })
    const { operations, proxy } = lab
    await lab.warmUp()
    lab.memcached.freeze()
    const size = 1_000_000
    const text = 'x'.repeat(size)
    const count = 300
    const before = process.memoryUsage().rss
    const burst = Promise.all(
      Array.from({ length: count }, (_, index) =>
        operations.set(`burst-${index}`, ownSession('big', { text })),
      ),
    )
    const most = process.memoryUsage().rss - before
    const outcomes = await burst
    await operations.settled()
    const refused = outcomes.filter(({ error }) => (error as MemcachedStoreError).code === 'ERR_UNAVAILABLE')
    expect(refused.length).toBeGreaterThanOrEqual(count - Math.ceil(MOST_BYTES / size) - 1)
    expect(refused.length).toBeLessThan(count - Math.floor(MOST_BYTES / 2 / size))
    expect(most / MIB).toBeLessThan(6 * (MOST_BYTES / MIB))
    lab.memcached.thaw()
    await proxy.pass()
    await operations.recovered()
  })

  test('what the limit allows is served', async () => {
    await using lab = await Lab.start({ timeout: 2000 })
    const { operations } = lab
    await lab.warmUp()
    const outcomes = await Promise.all(
      Array.from({ length: MOST_REQUESTS }, (_, index) => operations.get(`burst-${index}`)),
    )
    expect(outcomes.filter(({ error }) => error !== null)).toEqual([])
    await operations.settled()
  })
})
