import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { OPCODE } from '../support/frames.ts'
import { Lab, PATIENT } from '../support/lab.ts'
import type { Ending } from '../support/proxy.ts'
import { until } from '../support/until.ts'

/** What must hold however a connection ends. */
export function testBrokenConnections(how: Ending): void {
  test('with 100 requests in flight: each is answered, reads are tried once more', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.hold()
    const before = proxy.count()
    const burst = operations.burst(100)
    await until(() => proxy.count() >= before + 100)
    proxy.cutNow(how)
    await proxy.pass()
    const outcomes = await burst
    await operations.settled('ERR_UNAVAILABLE')
    const failed = outcomes.filter(({ what, error }) => what.startsWith('get') && error !== null)
    expect(failed).toEqual([])
    await operations.recovered()
  })

  test('a read is tried once more, not for ever', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.tamper((reply, opcode) => {
      if (opcode !== OPCODE.get) return reply
      proxy.cutNow(how)
      return null
    })
    const before = proxy.count(OPCODE.get)
    const { error } = await operations.get('twice')
    expect(error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(proxy.count(OPCODE.get) - before).toBe(2)
    await operations.settled('ERR_UNAVAILABLE')
    await proxy.pass()
    await operations.recovered()
  })

  test('late in the life of a request: trying again does not lengthen its deadline', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.hold()
    const before = proxy.count()
    const burst = operations.burst(100)
    await until(() => proxy.count() >= before + 100)
    await sleep(PATIENT.timeout * 0.7)
    proxy.cutNow(how)
    await burst
    await operations.settled()
    await proxy.pass()
    await operations.recovered()
  })

  test('while idle: nobody notices', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.cutNow(how)
    await until(() => proxy.open === 0)
    await sleep(20)
    const outcomes = await operations.burst(20)
    await operations.settled()
    expect(outcomes.filter(({ error }) => error !== null)).toEqual([])
  })

  test('again and again under steady traffic', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    const cutting = (async () => {
      for (let turn = 0; turn < 20; turn++) {
        await sleep(40)
        proxy.cutNow(how)
      }
    })()
    await operations.steadily(20, cutting)
    await operations.settled()
    await operations.recovered()
  })
}
