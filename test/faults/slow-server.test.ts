import { describe, expect, test } from 'vitest'
import { Lab, PATIENT, TIMEOUT } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'

describe.skipIf(!hasMemcached)('slow server', () => {
  test('slower than usual: requests wait together, not one after the other', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.delay(TIMEOUT * 0.4)
    const outcomes = await operations.burst(200)
    await operations.settled()
    expect(outcomes.filter(({ error }) => error !== null)).toEqual([])
  })

  test('slower than the deadline', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.delay(TIMEOUT * 20)
    const outcomes = await operations.burst(100)
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    await operations.settled()
    await proxy.pass()
    await operations.recovered()
  })

  test('getting slower', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    const slowing = (async () => {
      for (let delay = 0; delay < TIMEOUT * 1.5; delay += TIMEOUT / 10) {
        proxy.delay(delay)
        await operations.burst(5, 'slowing')
      }
    })()
    await operations.steadily(10, slowing)
    await operations.settled()
    await proxy.pass()
    await operations.recovered()
  })

  test('operations on one session that wait for each other keep their deadlines', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.delay(TIMEOUT * 0.7)
    await Promise.all([
      operations.set('same'),
      operations.get('same'),
      operations.set('same'),
      operations.destroy('same'),
      operations.get('same'),
    ])
    await operations.settled()
  })

  test('a read that has waited for a save has no second deadline', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await lab.warmUp()
    const { connections } = proxy
    // It goes ahead at the half of its time, and would be answered after 1.3 of it.
    proxy.delay(PATIENT.timeout * 0.8)
    const saved = operations.set('same')
    const reads = [operations.get('same'), operations.getMany(['other', 'same'])]
    expect((await saved).error).toBeNull()
    for (const { error } of await Promise.all(reads)) expect(error).toMatchObject({ code: 'ERR_TIMEOUT' })
    await operations.settled()
    // Their connection is none the worse.
    expect(proxy.connections).toBe(connections)
    await proxy.pass()
    await operations.recovered()
  })
})
