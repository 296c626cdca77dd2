import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { OPCODE } from '../support/frames.ts'
import { withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { behave, MisbehavingServer, replyTo } from '../support/misbehaving-server.ts'
import { isText } from '../support/protocol.ts'
import { TcpProxy } from '../support/proxy.ts'
import { SaslAuthd } from './saslauthd.ts'

/** A memcached may be built without SASL. */
const canSasl = hasMemcached && String(spawnSync('memcached', ['-h']).stdout).includes('--enable-sasl')

const USER = 'alice+tests'
const PASSWORD = 'se:cret @/%,päss'
const RIGHT = { username: USER, password: PASSWORD }
const WRONG = { username: USER, password: 'wr0ng-passw0rd' }

// Over text a login is another thing: test/engines/login.test.ts.
describe.skipIf(!canSasl || isText)('SASL, of the binary protocol alone', () => {
  let authd: SaslAuthd
  let memcached: Memcached

  beforeAll(async () => {
    authd = await SaslAuthd.start({})
    process.env.SASL_CONF_PATH = authd.folder
    memcached = await Memcached.start('-S')
    delete process.env.SASL_CONF_PATH
  })
  beforeEach(() => {
    authd.passwords.set(USER, PASSWORD)
  })
  afterAll(async () => {
    await memcached.kill()
    await authd[Symbol.asyncDispose]()
  })

  test('the right password, as options', async () => {
    await using watched = withStore(memcached.address, RIGHT)
    await watched.operations.recovered()
  })

  test('the right password, in the address', async () => {
    const credentials = `${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}`
    await using watched = withStore(`memcached://${credentials}@${memcached.address}`)
    await watched.operations.recovered()
  })

  test.each([
    ['a wrong password', WRONG],
    ['an unknown user', { username: 'mallory', password: PASSWORD }],
    ['an empty password', { username: USER, password: '' }],
    ['no password', {}],
  ])('%s: refused, and the message has no secret', async (_, credentials) => {
    await using watched = withStore(memcached.address, credentials)
    const { operations } = watched
    const outcomes = await operations.burst(50)
    await operations.settled('ERR_UNAVAILABLE')
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    for (const { error } of outcomes) {
      expect(inDepth(error as Error)).not.toMatch(/alice|mallory|se:cret|wr0ng/)
    }
  })

  test('refused until the server knows the password: then served without a restart', async () => {
    await using watched = withStore(memcached.address, WRONG)
    const { operations } = watched
    await operations.burst(50)
    await operations.settled('ERR_UNAVAILABLE')
    authd.passwords.set(USER, WRONG.password)
    await operations.recovered()
  })

  test('each new connection logs in', async () => {
    await using proxy = await TcpProxy.start(memcached.address)
    await using watched = withStore(proxy.address, RIGHT)
    const { operations } = watched
    for (let turn = 1; turn <= 3; turn++) {
      await operations.recovered()
      expect(proxy.count(OPCODE.saslAuth)).toBe(turn)
      proxy.cutNow('fin')
    }
  })

  test('broken in the midst of work: requests wait until the next one has logged in', async () => {
    await using proxy = await TcpProxy.start(memcached.address)
    await using watched = withStore(proxy.address, { ...RIGHT, timeout: 2000 })
    const { operations } = watched
    await operations.recovered()
    for (const how of ['fin', 'reset'] as const) {
      proxy.cutNow(how)
      const reads = Array.from({ length: 20 }, (_, index) => operations.get(`burst-${index}`))
      expect((await Promise.all(reads)).filter(({ error }) => error !== null)).toEqual([])
    }
    expect(proxy.count(OPCODE.saslAuth)).toBe(3)
    await operations.settled()
  })

  test('a password that changes while we are connected', async () => {
    await using proxy = await TcpProxy.start(memcached.address)
    await using watched = withStore(proxy.address, RIGHT)
    const { operations } = watched
    await operations.recovered()
    authd.passwords.set(USER, 'changed')
    proxy.cutNow('fin')
    await operations.burst(50)
    await operations.settled()
    authd.passwords.set(USER, PASSWORD)
    await operations.recovered()
  })

  test('no answer to the login', async () => {
    await using proxy = await TcpProxy.start(memcached.address)
    proxy.swallow()
    await using watched = withStore(proxy.address, RIGHT)
    const { operations } = watched
    await operations.burst(50)
    await operations.settled()
    await proxy.pass()
    await operations.recovered()
  })

  test('a server that needs no password takes one', async () => {
    await using plain = await Memcached.start()
    await using watched = withStore(plain.address, RIGHT)
    await watched.operations.recovered()
  })
})

test('no request is sent before the login is answered', async () => {
  const behaved = behave()
  let loggedIn = false
  let early = 0
  await using server = await MisbehavingServer.start((request, socket) => {
    if (request.opcode !== OPCODE.saslAuth) {
      // The version belongs to the greeting: it is told without a password.
      if (!loggedIn && request.opcode !== OPCODE.version) early++
      behaved(request, socket)
      return
    }
    setTimeout(() => {
      loggedIn = true
      socket.write(replyTo(request, { value: Buffer.from('Authenticated') }))
    }, 50)
  })
  await using watched = withStore(server.address, RIGHT)
  await watched.operations.recovered()
  expect(early).toBe(0)
})

function inDepth(error: Error): string {
  return `${error.message} ${error.stack} ${error.cause instanceof Error ? inDepth(error.cause) : ''}`
}
