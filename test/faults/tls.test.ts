import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MemcachedStoreOptions } from '../../lib/index.ts'
import { Authority, type Certificate } from '../support/certificates.ts'
import { TIMEOUT, withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { TcpProxy } from '../support/proxy.ts'
import { ownSession } from '../support/settle.ts'

type Tls = MemcachedStoreOptions['tls']

/** A memcached may be built without TLS, and certificates need the `openssl` command. */
const canTls =
  hasMemcached &&
  String(spawnSync('memcached', ['-h']).stdout).includes('--enable-ssl') &&
  spawnSync('openssl', ['version']).status === 0

// A handshake costs far more than a request, and the machine may be busy.
const PATIENCE = 2 * TIMEOUT

async function startTls({ certFile, keyFile }: Certificate, ...options: string[]): Promise<Memcached> {
  return Memcached.start(
    '-Z',
    '-o',
    [`ssl_chain_cert=${certFile}`, `ssl_key=${keyFile}`, ...options].join(','),
  )
}

describe.skipIf(!canTls)('TLS', () => {
  let authority: Authority
  let good: Certificate
  let elsewhere: Certificate
  let selfSigned: Certificate
  let stranger: Authority

  beforeAll(() => {
    authority = new Authority()
    stranger = new Authority()
    good = authority.issue('good', 'DNS:localhost,IP:127.0.0.1')
    elsewhere = authority.issue('elsewhere', 'DNS:elsewhere.test')
    selfSigned = authority.selfSigned('self', 'DNS:localhost,IP:127.0.0.1')
  })
  afterAll(() => {
    authority[Symbol.dispose]()
    stranger[Symbol.dispose]()
  })

  async function expectServed(servers: string, tls: Tls): Promise<void> {
    await using watched = withStore(servers, { tls, timeout: PATIENCE })
    await watched.operations.recovered()
  }

  async function expectRefused(servers: string, tls: Tls, ...codes: string[]): Promise<void> {
    await using watched = withStore(servers, { tls, timeout: PATIENCE })
    const outcomes = await watched.operations.burst(50)
    await watched.operations.settled(...codes)
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
  }

  test('the right authority: served, by address, by name and by scheme', async () => {
    await using memcached = await startTls(good)
    const ca = authority.ca.cert
    await Promise.all([
      expectServed(memcached.address, { ca }),
      expectServed(`localhost:${memcached.port}`, { ca }),
      expectServed(`memcacheds://localhost:${memcached.port}`, { ca }),
    ])
  })

  test('sessions of many sizes pass', async () => {
    await using memcached = await startTls(good)
    await using watched = withStore(memcached.address, { tls: { ca: authority.ca.cert }, timeout: 2000 })
    const { operations } = watched
    const sizes = [1, 1000, 16_000, 17_000, 100_000, 1_000_000]
    const sessions = sizes.map(size => ownSession(`size-${size}`, { text: 'x'.repeat(size) }))
    await Promise.all(sessions.map((session, index) => operations.set(`size-${sizes[index]}`, session)))
    const outcomes = await Promise.all(sizes.map(size => operations.get(`size-${size}`)))
    await operations.settled()
    expect(outcomes.map(({ value }) => value)).toEqual(sessions)
  })

  test('refused: an authority that nobody knows, the wrong one, a self-signed certificate', async () => {
    await using memcached = await startTls(good)
    await using own = await startTls(selfSigned)
    await Promise.all([
      expectRefused(memcached.address, true, 'ERR_UNAVAILABLE'),
      expectRefused(`memcacheds://${memcached.address}`, undefined, 'ERR_UNAVAILABLE'),
      expectRefused(memcached.address, { ca: stranger.ca.cert }, 'ERR_UNAVAILABLE'),
      expectRefused(own.address, true, 'ERR_UNAVAILABLE'),
    ])
  })

  test('a self-signed certificate is served when it is named as authority, or nothing is to be verified', async () => {
    await using memcached = await startTls(selfSigned)
    await expectServed(memcached.address, { ca: selfSigned.cert })
    await expectServed(memcached.address, { rejectUnauthorized: false })
  })

  test('a certificate of another host is refused, unless that host is asked for', async () => {
    await using memcached = await startTls(elsewhere)
    const ca = authority.ca.cert
    await expectRefused(memcached.address, { ca }, 'ERR_UNAVAILABLE')
    await expectRefused(`localhost:${memcached.port}`, { ca }, 'ERR_UNAVAILABLE')
    await expectServed(memcached.address, { ca, servername: 'elsewhere.test' })
  })

  test('a server that wants a client certificate', async () => {
    await using memcached = await startTls(good, 'ssl_verify_mode=2', `ssl_ca_cert=${authority.ca.certFile}`)
    const ca = authority.ca.cert
    const client = authority.issue('client', 'DNS:client.test')
    const foreign = stranger.issue('client', 'DNS:client.test')
    await expectServed(memcached.address, { ca, cert: client.cert, key: client.key })
    await expectRefused(memcached.address, { ca }, 'ERR_UNAVAILABLE')
    await expectRefused(memcached.address, { ca, cert: foreign.cert, key: foreign.key }, 'ERR_UNAVAILABLE')
  })

  test('the name of the host is told to the server', async () => {
    const names: string[] = []
    const server = createServer({
      cert: good.cert,
      key: good.key,
      SNICallback(name, done) {
        names.push(name)
        done(null)
      },
    })
    server.on('secureConnection', socket => socket.destroy())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await expectRefused(`localhost:${port}`, { ca: authority.ca.cert }, 'ERR_UNAVAILABLE')
    expect(names[0]).toBe('localhost')
    server.close()
  })

  test('one side speaks TLS, the other does not', async () => {
    await using encrypted = await startTls(good)
    await expectRefused(encrypted.address, undefined, 'ERR_UNAVAILABLE', 'ERR_PROTOCOL', 'ERR_TIMEOUT')
    await using plain = await Memcached.start()
    await expectRefused(
      plain.address,
      { ca: authority.ca.cert },
      'ERR_UNAVAILABLE',
      'ERR_PROTOCOL',
      'ERR_TIMEOUT',
    )
  })

  test('killed and started again at once: reads wait for the next connection', async () => {
    await using memcached = await startTls(good)
    await using watched = withStore(memcached.address, { tls: { ca: authority.ca.cert }, timeout: 2000 })
    const { operations } = watched
    await operations.recovered()
    for (let turn = 0; turn < 3; turn++) {
      await memcached.kill()
      const reads = Array.from({ length: 20 }, (_, index) => operations.get(`burst-${index}`))
      await memcached.restart()
      expect((await Promise.all(reads)).filter(({ error }) => error !== null)).toEqual([])
    }
    await operations.settled()
  })

  test('a handshake that is never answered, one that is cut, and the way back', async () => {
    await using memcached = await startTls(good)
    await using proxy = await TcpProxy.start(memcached.address)
    await using watched = withStore(proxy.address, { tls: { ca: authority.ca.cert } })
    const { operations } = watched
    proxy.silence()
    await operations.burst(50)
    await operations.settled()
    await proxy.pass()
    await operations.recovered()
    proxy.cutNow('reset')
    proxy.cutAfter(100, 'fin', 3)
    await operations.burst(50)
    await operations.settled()
    await operations.recovered()
    // In the midst of work, within a record.
    const burst = operations.burst(50)
    proxy.cutAfter(500, 'reset')
    await burst
    await operations.settled()
    await operations.recovered()
  })
})
