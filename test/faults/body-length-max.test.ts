import { describe, expect, test } from 'vitest'
import { Lab, PATIENT } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'
import { isText } from '../support/protocol.ts'
import { bodyLength, type Tamper } from '../support/proxy.ts'
import type { Operations, Outcome } from '../support/settle.ts'

const CODES = ['ERR_PROTOCOL', 'ERR_UNAVAILABLE', 'ERR_TIMEOUT']

const LENGTHS: [string, Tamper][] = [
  ['a body of 2^32-1 bytes', bodyLength(2 ** 32 - 1)],
  ['a body of 2^31 bytes', bodyLength(2 ** 31)],
  ['a body of a gibibyte', bodyLength(2 ** 30)],
]
const OF_TEXT: [string, Tamper][] = [
  ['a value of -1 bytes', bodyLength(-1)],
  ['a value of more bytes than a number holds', bodyLength(Number.MAX_VALUE)],
]
const OF_BINARY: [string, Tamper][] = [
  ['a key longer than the body', changed(reply => reply.writeUInt16BE(0xffff, 2))],
  ['extras longer than the body', changed(reply => reply.writeUInt8(0xff, 4))],
]

describe.skipIf(!hasMemcached).concurrent('body length', () => {
  test.each([...LENGTHS, ...(isText ? OF_TEXT : OF_BINARY)])(
    '%s: refused at once, without waiting or memory',
    async (_, tamper) => {
      await using lab = await Lab.start(PATIENT)
      const { operations, proxy } = lab
      expect(await operations.set('long')).toMatchObject({ error: null })
      proxy.tamper(tamper)
      const before = process.memoryUsage().rss
      const outcomes = await harm(operations)
      expect(outcomes.filter(({ error }) => error === null)).toEqual([])
      await operations.settled('ERR_PROTOCOL', 'ERR_UNAVAILABLE')
      expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024)
      await proxy.pass()
      await operations.recovered()
    },
  )

  test('longer than what comes, within reason: the deadline ends it', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    expect(await operations.set('long')).toMatchObject({ error: null })
    proxy.tamper(bodyLength(1_000_000))
    const outcomes = await harm(operations)
    await operations.settled(...CODES)
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    await proxy.pass()
    await operations.recovered()
  })

  test('shorter than what comes', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await operations.set('short')
    proxy.tamper(bodyLength(20))
    await operations.burst(100)
    await operations.get('short')
    await operations.settled(...CODES)
    await proxy.pass()
    await operations.recovered()
  })
})

/** Many operations; gives those that meet a length: in text only what is read has one. */
async function harm(operations: Operations): Promise<Outcome[]> {
  const [burst, reads] = await Promise.all([
    operations.burst(100),
    Promise.all(Array.from({ length: 10 }, () => operations.get('long'))),
  ])
  return isText ? reads : [...burst, ...reads]
}

function changed(change: (reply: Buffer) => unknown): Tamper {
  return reply => {
    const copy = Buffer.from(reply)
    change(copy)
    return copy
  }
}
