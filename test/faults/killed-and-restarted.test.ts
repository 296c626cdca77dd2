import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { PATIENT, withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { type Outcome, ownSession } from '../support/settle.ts'
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

  test('at once, three times: no read fails, and no save', async () => {
    await using memcached = await Memcached.start()
    await using watched = withStore(memcached.address, { timeout: 10_000 })
    const { operations, store } = watched
    let isOver = false
    const failed: Outcome[] = []
    const note = (outcome: Outcome): Outcome => {
      if (outcome.error !== null) failed.push(outcome)
      return outcome
    }
    const visitor = async (_: unknown, index: number): Promise<void> => {
      const sid = `steady-${index}`
      note(await operations.set(sid))
      while (!isOver) {
        note(await operations.get(sid))
        const session = (await store.get(sid)) ?? ownSession(sid)
        note(await operations.set(sid, Object.assign(session, { at: performance.now() })))
        await sleep(2)
      }
    }
    const visitors = Promise.all(Array.from({ length: 20 }, visitor))
    for (let turn = 0; turn < 3; turn++) {
      await sleep(100)
      await memcached.restart()
    }
    await sleep(100)
    isOver = true
    await visitors
    await operations.settled()
    expect(failed).toEqual([])
  })

  test('it is down once it has stayed away for a deadline, and only then', async () => {
    await using memcached = await Memcached.start()
    await using watched = withStore(memcached.address, { timeout: 500, onUnavailable: 'anonymous' })
    const { operations, store } = watched
    const events: string[] = []
    await operations.burst(20, 'warm')
    store.on('disconnect', () => events.push('disconnect'))
    store.on('connect', () => events.push('connect'))
    await memcached.kill()
    const burst = operations.burst(20)
    // Each waits for the next connection.
    expect(await operations.waiting(() => operations.burst(20))).toBe(20)
    expect(events).toEqual([])
    await burst
    await until(() => events.length > 0)
    expect(events).toEqual(['disconnect'])
    expect(await operations.waiting(() => operations.burst(20))).toBe(0)
    await operations.settled()
    await memcached.restart()
    await until(() => events.length > 1)
    expect(events).toEqual(['disconnect', 'connect'])
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
