import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { sessionOf } from '../contract/calls.ts'
import { storeContract } from '../contract/store-contract.ts'
import { runChild } from '../faults/run-child.ts'
import { overlapContract } from '../overlap/overlap-contract.ts'
import { Authority } from '../support/certificates.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import {
  hasMemcachedProxy,
  isInstalled,
  LoginMemcached,
  MemcachedProxy,
  Twemproxy,
  Yrmcds,
} from './engine.ts'

const ROUNDS = fewOrMany(3, 20)
/** Milliseconds. What is asked is whether it works, not how soon. */
const TIMEOUT = 5000

interface Running {
  readonly options: MemcachedStoreOptions
  /** File of a certificate that is to be trusted. */
  readonly authority?: string
  stop(): Promise<void>
}

const hasTwemproxy = hasMemcached && isInstalled('nutcracker')
const hasTls = hasMemcached && isInstalled('openssl')

async function memcached(...flags: string[]): Promise<Running> {
  const server = await Memcached.start(...flags)
  return { options: { servers: server.address }, stop: () => server.kill() }
}

async function withLogin(): Promise<Running> {
  const engine = await LoginMemcached.start('shop', 'p:w@d')
  const servers = `shop:p%3Aw%40d@${engine.server.address}`
  return { options: { servers }, stop: () => engine[Symbol.asyncDispose]() }
}

async function overTls(scheme: string, ...flags: string[]): Promise<Running> {
  const authority = new Authority()
  const { certFile, keyFile } = authority.issue('engine', 'DNS:localhost,IP:127.0.0.1')
  const options = `ssl_chain_cert=${certFile},ssl_key=${keyFile}`
  const server = await Memcached.start('-Z', '-o', options, ...flags)
  return {
    options: { servers: `${scheme}://${server.address}`, tls: { ca: authority.ca.cert } },
    authority: authority.ca.certFile,
    async stop() {
      await server.kill()
      authority[Symbol.dispose]()
    },
  }
}

async function twemproxy(): Promise<Running> {
  const engine = await Twemproxy.start()
  return { options: { servers: engine.address }, stop: () => engine[Symbol.asyncDispose]() }
}

async function memcachedProxy(): Promise<Running> {
  const engine = await MemcachedProxy.start()
  return { options: { servers: engine.address }, stop: () => engine[Symbol.asyncDispose]() }
}

async function yrmcds(protocol?: 'text'): Promise<Running> {
  const engine = await Yrmcds.start()
  return { options: { servers: engine.address, protocol }, stop: () => engine[Symbol.asyncDispose]() }
}

const ENGINES: [name: string, isThere: boolean, start: () => Promise<Running>][] = [
  ['memcached', hasMemcached, () => memcached()],
  ['memcached -B ascii', hasMemcached, () => memcached('-B', 'ascii')],
  ['memcached -Y', hasMemcached, withLogin],
  ['memcached -Z, with text', hasTls, () => overTls('memcacheds+text')],
  ['memcached -Z -B ascii, as ElastiCache Serverless', hasTls, () => overTls('memcacheds', '-B', 'ascii')],
  ['twemproxy before three memcached', hasTwemproxy, twemproxy],
  ["memcached's own proxy before three memcached", hasMemcachedProxy, memcachedProxy],
  ['yrmcds', isInstalled('yrmcdsd'), () => yrmcds()],
  ['yrmcds, with text', isInstalled('yrmcdsd'), () => yrmcds('text')],
]

for (const [name, isThere, start] of ENGINES) {
  describe.skipIf(!isThere)(name, () => {
    let engine: Running
    beforeAll(async () => {
      engine = await start()
    })
    afterAll(() => engine.stop())

    test('works for a newcomer, who sets MEMCACHED_SERVERS and nothing else', async () => {
      const { servers } = engine.options
      vi.stubEnv('MEMCACHED_SERVERS', servers as string)
      if (engine.authority !== undefined) vi.stubEnv('NODE_EXTRA_CA_CERTS', engine.authority)
      onTestFinished(() => {
        vi.unstubAllEnvs()
      })
      const { found, gone } = JSON.parse(await runChild('../engines/newcomer.child.ts'))
      expect(found).toMatchObject({ n: 1, m: 2 })
      expect(gone).toBeNull()
    })

    test('keeps locks apart', async () => {
      await using store = new MemcachedStore({ timeout: TIMEOUT, ...engine.options })
      const sid = randomUUID()
      let inside = 0
      const turn = (): Promise<void> =>
        store.withLock(sid, async () => {
          expect(++inside).toBe(1)
          await new Promise(setImmediate)
          inside--
        })
      await Promise.all(Array.from({ length: 10 }, turn))
    })

    storeContract('the store', () => new MemcachedStore({ timeout: TIMEOUT, ...engine.options }))

    overlapContract(() => ({ timeout: TIMEOUT, ...engine.options }), ROUNDS)
  })
}

describe.skipIf(!hasMemcachedProxy)("memcached's own proxy", () => {
  test('finds each session where the store itself does', async () => {
    await using engine = await MemcachedProxy.start()
    await using store = new MemcachedStore({ servers: engine.address, timeout: TIMEOUT })
    const sids = Array.from({ length: 100 }, () => randomUUID())
    await Promise.all(sids.map(sid => store.set(sid, sessionOf({ sid }))))
    await using direct = new MemcachedStore({
      servers: engine.backends.map(({ address }) => address),
      timeout: TIMEOUT,
    })
    expect((await direct.getMany(sids)).size).toBe(100)
  })
})
