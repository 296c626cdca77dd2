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
})
