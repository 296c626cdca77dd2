import { describe, expect, test } from 'vitest'
import { Lab, withStore } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'

describe.skipIf(!hasMemcached)('refused', () => {
  test('from the start: everything fails, and works once somebody listens', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await proxy.refuse()
    const outcomes = await operations.burst(100)
    await operations.settled('ERR_UNAVAILABLE')
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    await proxy.pass()
    await operations.recovered()
  })

  test('in the midst of work', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.hold()
    const burst = operations.burst(100)
    await proxy.refuse()
    await burst
    await operations.settled()
    await proxy.pass()
    await operations.recovered()
  })

  test('a server that is down costs no waiting', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await proxy.refuse()
    await operations.get('first')
    for (let turn = 0; turn < 20; turn++) {
      expect(await operations.waiting(() => operations.burst(20))).toBe(0)
    }
    await operations.settled('ERR_UNAVAILABLE')
  })

  test('a name that does not exist', async () => {
    await using watched = withStore('memcached.invalid:11211')
    const { operations } = watched
    const outcomes = await operations.burst(20)
    await operations.settled()
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
  })
})
