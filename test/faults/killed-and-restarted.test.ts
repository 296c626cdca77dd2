import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { PATIENT, withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'

describe.skipIf(!hasMemcached)('killed and restarted', () => {
  test('under load', async () => {
    await using memcached = await Memcached.start()
    await using watched = withStore(memcached.address)
    const { operations } = watched
    const killing = (async () => {
      for (let turn = 0; turn < 3; turn++) {
        await sleep(100)
        await memcached.kill()
        await sleep(200)
        await memcached.restart()
      }
    })()
    await operations.steadily(20, killing)
    await operations.settled()
    await operations.recovered()
  })

  test('one of two servers: sessions on the other one go on', async () => {
    await using dead = await Memcached.start()
    await using alive = await Memcached.start()
    await using watched = withStore([dead.address, alive.address], PATIENT)
    const { operations } = watched
    const before = await Promise.all(Array.from({ length: 50 }, (_, index) => operations.set(`two-${index}`)))
    await dead.kill()
    const after = await Promise.all(before.map((_, index) => operations.get(`two-${index}`)))
    await operations.settled()
    const served = after.filter(({ error }) => error === null)
    expect(served.length).toBeGreaterThan(0)
    expect(served.length).toBeLessThan(50)
    for (const { value } of served) expect(value).not.toBeNull()
    await dead.restart()
    await until(async () => {
      const again = await Promise.all(before.map((_, index) => operations.get(`two-${index}`)))
      return again.every(({ error }) => error === null)
    })
    await operations.settled()
    await operations.recovered()
  })
})
