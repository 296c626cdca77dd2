import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { build, OPCODE, REQUEST } from '../support/frames.ts'
import { Lab, PATIENT, withStore } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'
import { behave, MisbehavingServer, type Script } from '../support/misbehaving-server.ts'

const CODES = ['ERR_PROTOCOL', 'ERR_UNAVAILABLE', 'ERR_TIMEOUT']

const SCRIPTS: [string, Script][] = [
  ['text of memcached', (_, socket) => socket.write('ERROR Too many open connections\r\n')],
  ['HTTP', (_, socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
  ['random bytes', (_, socket) => socket.write(randomBytes(1000))],
  ['zeros', (_, socket) => socket.write(Buffer.alloc(100_000))],
  ['one byte', (_, socket) => socket.write('\n')],
  ['the magic of a reply only', (_, socket) => socket.write(Buffer.alloc(24, 0x81))],
  ['its own request', (request, socket) => socket.write(build(REQUEST, request))],
]

describe('garbage', () => {
  test.each(SCRIPTS)('%s', async (_, script) => {
    await using server = await MisbehavingServer.start(script)
    await using watched = withStore(server.address)
    const { operations } = watched
    const outcomes = await operations.burst(100)
    await operations.settled(...CODES)
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    server.script = behave()
    await operations.recovered()
  })

  test('random bytes as a greeting', async () => {
    await using server = await MisbehavingServer.start()
    server.greet = socket => socket.write(randomBytes(100))
    await using watched = withStore(server.address)
    const { operations } = watched
    await operations.burst(100)
    await operations.settled(...CODES)
    server.greet = () => {}
    await operations.recovered()
  })

  describe.skipIf(!hasMemcached).concurrent('of a server that greets well', () => {
    test.each([
      ['a complaint', Buffer.from('ERROR Too many open connections\r\n')],
      ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
      ['random bytes', randomBytes(1000)],
      ['zeros', Buffer.alloc(100_000)],
      ['the end of a line', Buffer.from('\n')],
      ['the end of a line, twice', Buffer.from('\r\n\r\n')],
      ['a line that never ends', Buffer.alloc(100_000, 'VALUE ')],
      ['a greeting', Buffer.from('VERSION 1\r\n')],
    ])('%s', async (_, bytes) => {
      await using lab = await Lab.start(PATIENT)
      const { operations, proxy } = lab
      await lab.warmUp()
      proxy.tamper((reply, opcode) => (opcode === OPCODE.noop ? reply : bytes))
      const outcomes = await operations.burst(100)
      await operations.settled(...CODES)
      expect(outcomes.filter(({ error }) => error === null)).toEqual([])
      await proxy.pass()
      await operations.recovered()
    })
  })

  test.skipIf(!hasMemcached)('in the midst of work', async () => {
    await using lab = await Lab.start()
    const { operations, proxy } = lab
    await lab.warmUp()
    let count = 0
    proxy.tamper(reply => (++count % 10 === 0 ? randomBytes(reply.length) : reply))
    for (let turn = 0; turn < 10; turn++) await operations.burst(50)
    await operations.settled(...CODES)
    await proxy.pass()
    await operations.recovered()
  })
})
