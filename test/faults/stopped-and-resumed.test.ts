import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { TIMEOUT, withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'

describe.skipIf(!hasMemcached)('stopped and resumed', () => {
  test('under steady traffic', async () => {
    await using memcached = await Memcached.start()
    await using watched = withStore(memcached.address)
    const { operations } = watched
    const stopping = (async () => {
      for (let turn = 0; turn < 3; turn++) {
        await sleep(100)
        memcached.freeze()
        await sleep(TIMEOUT * (turn + 0.5))
        memcached.thaw()
      }
    })()
    await operations.steadily(20, stopping)
    await operations.settled()
    await operations.recovered()
  })

  test('for less than the deadline: nobody notices', async () => {
    await using memcached = await Memcached.start()
    await using watched = withStore(memcached.address, { timeout: 2000 })
    const { operations } = watched
    await operations.burst(20, 'warm')
    memcached.freeze()
    const burst = operations.burst(100)
    await sleep(200)
    memcached.thaw()
    expect((await burst).filter(({ error }) => error !== null)).toEqual([])
    await operations.settled()
  })

  test('a hung server costs one deadline, not one for each operation', async () => {
    await using memcached = await Memcached.start()
    await using watched = withStore(memcached.address)
    const { operations } = watched
    await operations.burst(20, 'warm')
    memcached.freeze()
    // The signal takes a moment.
    await until(async () => (await operations.get('first')).error !== null)
    // Long enough for several probes, each of which hangs.
    for (let turn = 0; turn < 40; turn++) {
      expect(await operations.waiting(() => operations.burst(10))).toBe(0)
      await sleep(25)
    }
    await operations.settled()
    memcached.thaw()
    await operations.recovered()
  })
})
