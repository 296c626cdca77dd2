import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { Lab, TIMEOUT } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'

describe.skipIf(!hasMemcached).concurrent('silent under steady traffic', () => {
  test('requests that keep coming do not push the deadline ahead', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.silence()
    await operations.steadily(20, sleep(4 * TIMEOUT))
    const outcomes = await operations.settled()
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    await proxy.pass()
    await operations.recovered()
  })

  test('one reply that is missing drops the connection: what comes late reaches nobody', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    let skipped = 0
    proxy.tamper(reply => (skipped++ === 10 ? null : reply))
    await operations.steadily(20, sleep(4 * TIMEOUT))
    await operations.settled('ERR_UNAVAILABLE', 'ERR_TIMEOUT', 'ERR_PROTOCOL')
    await proxy.pass()
    await operations.recovered()
  })

  test('replies that come after their deadline reach nobody', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.hold()
    const outcomes = await operations.burst(100)
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    await proxy.pass()
    await operations.settled()
    await operations.recovered()
  })

  test('from the start: connections are accepted, and nothing comes', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    proxy.silence()
    const outcomes = await operations.burst(100)
    await operations.settled()
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    await proxy.pass()
    await operations.recovered()
  })
})
