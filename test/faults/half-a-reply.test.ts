import { describe, expect, test } from 'vitest'
import { HEADER, OPCODE } from '../support/frames.ts'
import { Lab, PATIENT } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'
import { isText } from '../support/protocol.ts'
import { ownSession } from '../support/settle.ts'

/** Bytes of a reply that arrive. */
const PARTS: [string, number][] = isText
  ? [
      ['no byte', 0],
      ['half a word', 3],
      ['half a line', 12],
      ['half a value', 50],
    ]
  : [
      ['no byte', 0],
      ['half a header', HEADER / 2],
      ['a header', HEADER],
      ['half the flags', HEADER + 2],
      ['half a body', HEADER + 30],
    ]
/** Less than the shortest. */
const LITTLE = isText ? 'END'.length : HEADER / 2
const FOUND = { error: null, value: { owner: 'half' } }

describe.skipIf(!hasMemcached).concurrent('half a reply', () => {
  describe.each(PARTS)('%s, then', (_, bytes) => {
    test.each(['fin', 'reset'] as const)('%s: the read is tried once more', async how => {
      await using lab = await Lab.start(PATIENT)
      const { operations, proxy } = lab
      await operations.set('half')
      proxy.cutAfter(bytes, how)
      expect(await operations.get('half')).toMatchObject(FOUND)
      await operations.settled()
    })

    test('silence: the bytes do not reach the next connection', async () => {
      await using lab = await Lab.start()
      const { operations, proxy } = lab
      await operations.set('half')
      let isFirst = true
      proxy.tamper(reply => {
        const part = isFirst ? reply.subarray(0, bytes) : null
        isFirst = false
        return part
      })
      const outcomes = await Promise.all([operations.get('half'), operations.burst(100)])
      expect(outcomes.flat().filter(({ error }) => error === null)).toEqual([])
      await operations.settled()
      await proxy.pass()
      await operations.recovered()
    })
  })

  test.each(['fin', 'reset'] as const)('%s, every time: everything fails', async how => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.cutAfter(LITTLE, how, Infinity)
    const outcomes = await operations.burst(100)
    await operations.settled()
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    await proxy.pass()
    await operations.recovered()
  })

  test('replies in pieces of one byte are whole replies', async () => {
    // A turn of the event loop for each.
    await using lab = await Lab.start({ timeout: 5000 })
    const { operations, proxy } = lab
    const session = ownSession('pieces', { text: 'x'.repeat(500) })
    await operations.set('pieces', session)
    proxy.inPieces(1)
    const outcomes = await Promise.all([
      operations.get('pieces'),
      operations.get('none'),
      operations.get('pieces'),
    ])
    await operations.settled()
    expect(outcomes.map(({ value }) => value)).toEqual([session, null, session])
  })

  test('the end of the connection right after a whole reply', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await operations.set('half')
    const before = proxy.count(OPCODE.get)
    proxy.tamper(reply => {
      setImmediate(() => proxy.cutNow('fin'))
      return reply
    })
    expect(await operations.get('half')).toMatchObject(FOUND)
    expect(proxy.count(OPCODE.get) - before).toBe(1)
    await operations.settled()
  })
})
