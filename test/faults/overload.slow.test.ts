import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { MemcachedStoreError } from '../../lib/index.ts'
import { MAX_BYTES, MAX_REQUESTS } from '../../lib/memcached/server.ts'
import { Lab, withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { ownSession } from '../support/settle.ts'
import { until } from '../support/until.ts'

describe.skipIf(!hasMemcached)('overload', () => {
  test('more requests than the limit fail at once', async () => {
    await using lab = await Lab.start({ timeout: 1000 })
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.silence()
    const beyond = 100
    const waiting = await operations.waiting(() => {
      for (let index = 0; index < MAX_REQUESTS + beyond; index++) void operations.get(`burst-${index}`)
    })
    expect(waiting).toBe(MAX_REQUESTS)
    const outcomes = await operations.settled()
    expect(outcomes.slice(-beyond)).toMatchObject(Array(beyond).fill({ error: { code: 'ERR_UNAVAILABLE' } }))
    await proxy.pass()
    await operations.recovered()
  })

  test('more bytes than the limit fail at once, and what waits takes its bytes, once', async () => {
    await using memcached = await Memcached.start()
    await using watched = withStore(memcached.address, { timeout: 2000 })
    const { operations, store } = watched
    await operations.burst(20, 'warm')
    await memcached.freeze()
    const size = 1_000_000
    const text = 'x'.repeat(size)
    const count = 300
    // Errors are not kept: their stack traces would keep what the functions in them know.
    const codes: unknown[] = []
    const before = memoryInUse()
    for (let index = 0; index < count; index++) {
      store.set(`burst-${index}`, ownSession('big', { text }), error =>
        codes.push((error as MemcachedStoreError).code),
      )
    }
    await nextTurn()
    const refused = codes.length
    const taken = memoryInUse() - before
    await until(() => codes.length === count)
    expect(codes.slice(0, refused)).toEqual(Array(refused).fill('ERR_UNAVAILABLE'))
    expect(codes.slice(refused)).toEqual(Array(count - refused).fill('ERR_TIMEOUT'))
    expect(refused).toBeGreaterThanOrEqual(count - Math.ceil(MAX_BYTES / size) - 1)
    expect(refused).toBeLessThan(count - Math.floor(MAX_BYTES / 2 / size))
    expect(taken).toBeLessThan(1.25 * MAX_BYTES)
    memcached.thaw()
    await operations.recovered()
  })

  test('what the limit allows is served', async () => {
    await using lab = await Lab.start({ timeout: 2000 })
    const { operations } = lab
    await lab.warmUp()
    const outcomes = await Promise.all(
      Array.from({ length: MAX_REQUESTS }, (_, index) => operations.get(`burst-${index}`)),
    )
    expect(outcomes.filter(({ error }) => error !== null)).toEqual([])
    await operations.settled()
  })
})

/** Bytes, without garbage. */
function memoryInUse(): number {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  // A buffer that one collection finds unused is freed beside the program; the next one waits for that.
  collect()
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
