import { describe, expect, test } from 'vitest'
import { build, OPCODE, RESPONSE } from '../support/frames.ts'
import { Lab, PATIENT, withStore } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'
import { behave, MisbehavingServer } from '../support/misbehaving-server.ts'
import { isText } from '../support/protocol.ts'
import { foreignOpaque } from '../support/proxy.ts'
import { ownSession } from '../support/settle.ts'
import { until } from '../support/until.ts'

const CODES = ['ERR_PROTOCOL', 'ERR_UNAVAILABLE', 'ERR_TIMEOUT']
const SOMEBODY = Buffer.from(JSON.stringify(ownSession('somebody')))

describe.skipIf(!hasMemcached || isText).concurrent('foreign opaque', () => {
  test('once: the connection is dropped, reads are tried once more', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await lab.warmUp()
    const before = proxy.connections
    let count = 0
    proxy.tamper(reply => (count++ === 10 ? foreignOpaque(reply) : reply))
    const outcomes = await operations.burst(100)
    await operations.settled(...CODES)
    expect(outcomes.filter(({ what, error }) => what.startsWith('get') && error !== null)).toEqual([])
    expect(proxy.connections).toBe(before + 1)
    await operations.recovered()
  })

  test('always: everything fails', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.tamper(foreignOpaque)
    const outcomes = await operations.burst(100)
    await operations.settled(...CODES)
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    await proxy.pass()
    await operations.recovered()
  })

  test('two replies that change places reach nobody', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await Promise.all([operations.set('swap-a'), operations.set('swap-b')])
    let first: number | null = null
    proxy.tamper(reply => {
      if (reply[1] !== OPCODE.get || first === -1) return reply
      const swapped = Buffer.from(reply)
      // The opaques are neighbours: each reply gets the other's.
      swapped.writeUInt32BE(reply.readUInt32BE(12) + (first === null ? 1 : -1), 12)
      first = first === null ? 0 : -1
      return swapped
    })
    await Promise.all([operations.get('swap-a'), operations.get('swap-b')])
    await operations.settled(...CODES)
  })

  test('an opaque that was answered already', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    let count = 0
    proxy.tamper(reply => (count++ % 10 === 5 ? Buffer.concat([reply, reply]) : reply))
    await operations.burst(100)
    await operations.settled(...CODES)
    await proxy.pass()
    await operations.recovered()
  })

  test('the right opaque with the wrong operation', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await operations.set('opcode')
    proxy.tamper(reply => {
      const changed = Buffer.from(reply)
      changed[1] = OPCODE.noop
      return changed
    })
    const { error } = await operations.get('opcode')
    expect(error).not.toBeNull()
    await operations.settled(...CODES)
    await proxy.pass()
    await operations.recovered()
  })
})

/** The order of replies tells whose they are; values say their keys, too. */
describe.skipIf(!hasMemcached || !isText).concurrent('text, which has no opaques', () => {
  test('two values that change places reach nobody else', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await Promise.all([operations.set('swap-a'), operations.set('swap-b')])
    const before = proxy.connections
    let first: Buffer | null = null
    proxy.tamper(reply => {
      if (proxy.connections > before) return reply
      if (first !== null) return Buffer.concat([reply, first])
      first = reply
      return null
    })
    // One after the other, or they were one command.
    const asked = proxy.count(OPCODE.get)
    const a = operations.get('swap-a')
    await until(() => proxy.count(OPCODE.get) > asked)
    const b = operations.get('swap-b')
    // Each is asked for once more, on another connection.
    expect(await a).toMatchObject({ error: null, value: { owner: 'swap-a' } })
    expect(await b).toMatchObject({ error: null, value: { owner: 'swap-b' } })
    expect(proxy.connections).toBe(before + 1)
    await operations.settled()
  })

  test('replies that come twice', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    let count = 0
    proxy.tamper(reply => (count++ % 10 === 5 ? Buffer.concat([reply, reply]) : reply))
    await operations.burst(100)
    await operations.settled(...CODES)
    await proxy.pass()
    await operations.recovered()
  })
})

describe('replies that nobody asked for', () => {
  test('before the first request', async () => {
    await using server = await MisbehavingServer.start()
    server.greet = socket => socket.write(build(RESPONSE, { opcode: OPCODE.get, opaque: 1, value: SOMEBODY }))
    await using lab = withStore(server.address)
    await lab.operations.burst(50)
    await lab.operations.settled(...CODES)
    server.greet = () => {}
    await lab.operations.recovered()
  })

  test('on an idle connection: the next request gets its own', async () => {
    await using server = await MisbehavingServer.start()
    await using lab = withStore(server.address, PATIENT)
    await lab.operations.set('idle')
    server.push(build(RESPONSE, { opcode: OPCODE.get, opaque: 2, value: SOMEBODY }))
    await until(() => server.open === 0)
    expect(await lab.operations.get('idle')).toMatchObject({ error: null, value: { owner: 'idle' } })
    await lab.operations.settled()
  })

  test('a reply too many after each of ours', async () => {
    await using server = await MisbehavingServer.start()
    const behaved = behave()
    server.script = (request, socket) => {
      behaved(request, socket)
      behaved({ ...request, opaque: request.opaque + 1 }, socket)
    }
    await using lab = withStore(server.address)
    await lab.operations.burst(50)
    await lab.operations.settled(...CODES)
    server.script = behaved
    await lab.operations.recovered()
  })
})
