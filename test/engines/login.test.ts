import dns from 'node:dns'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { sessionOf } from '../contract/calls.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { LoginMemcached, MemCachier } from './engine.ts'

async function start(): Promise<string> {
  const engine = await LoginMemcached.start('shop', 'word')
  onTestFinished(() => engine[Symbol.asyncDispose]())
  return engine.server.address
}

function create(options: MemcachedStoreOptions): MemcachedStore {
  const store = new MemcachedStore({ timeout: 5000, ...options })
  onTestFinished(() => store.close())
  return store
}

describe.skipIf(!hasMemcached)('a login over text (-Y)', () => {
  test('serves, lists and tells', async () => {
    const servers = await start()
    const store = create({ servers, username: 'shop', password: 'word' })
    await store.set('sid', sessionOf({ n: 1 }))
    expect(await store.get('sid')).toMatchObject({ n: 1 })
    expect(await store.ids()).toEqual(['sid'])
    expect((await store.stats()).servers).toMatchObject([{ reachable: true, protocol: 'text', items: 1 }])
  })

  test.each([
    ['a wrong password', { username: 'shop', password: 'wrong' }, /refused the credentials/],
    ['none', {}, /wants a password/],
  ])('%s: an error that says so, and not the password', async (_, login, message) => {
    const store = create({ servers: await start(), ...login })
    const error = await store.get('sid').catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
    expect((error as Error).message).toMatch(message)
    expect((error as Error).message).not.toContain('wrong')
  })

  test('each new connection logs in', async () => {
    const engine = await LoginMemcached.start('shop', 'word')
    onTestFinished(() => engine[Symbol.asyncDispose]())
    const store = create({ servers: engine.server.address, username: 'shop', password: 'word' })
    for (let turn = 0; turn < 3; turn++) {
      await store.set('sid', sessionOf({ turn }))
      expect(await store.get('sid')).toMatchObject({ turn })
      await engine.server.restart()
    }
  })

  test('nothing of the password is stored where no login is wanted', async () => {
    const memcached = await Memcached.start('-B', 'ascii')
    onTestFinished(() => memcached.kill())
    const store = create({ servers: memcached.address, username: 'shop', password: 'word' })
    await store.set('sid', sessionOf({ n: 1 }))
    expect((await store.stats()).servers).toMatchObject([{ items: 1 }])
  })
})

/** MemCachier is known by its name, which leads to our own here. */
describe.skipIf(!hasMemcached)('a login at MemCachier over text', () => {
  const name = 'mc1.test.memcachier.com'
  beforeEach(() => {
    const { lookup } = dns
    const away = (host: string, ...rest: unknown[]): void =>
      (lookup as (...all: unknown[]) => void)(host === name ? '127.0.0.1' : host, ...rest)
    vi.spyOn(dns, 'lookup').mockImplementation(away as never)
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })

  async function startMemCachier(): Promise<MemCachier> {
    const engine = await MemCachier.start('15F38e', 'se:cret word')
    onTestFinished(() => engine[Symbol.asyncDispose]())
    return engine
  }

  test.each(['memcached+text://', 'memcached://'])('%s: serves and tells', async scheme => {
    const engine = await startMemCachier()
    vi.stubEnv('MEMCACHIER_SERVERS', `${scheme}15F38e:se%3Acret%20word@${name}:${engine.port}`)
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
    const store = create({})
    await store.set('sid', sessionOf({ n: 1 }))
    expect(await store.get('sid')).toMatchObject({ n: 1 })
    expect((await store.stats()).servers).toMatchObject([{ reachable: true, protocol: 'text', items: 1 }])
    // Nothing is said in text before.
    expect(engine.openings.filter(opening => opening.startsWith('version'))).toEqual([])

    engine.cut()
    await store.set('sid', sessionOf({ n: 2 }))
    expect(await store.get('sid')).toMatchObject({ n: 2 })
  })

  test.each([
    ['a wrong password', { username: '15F38e', password: 'wrong' }],
    ['a user with a line of its own', { username: 'a 0 0 0\r\n\r\nflush_all\r\nset b', password: 'wrong' }],
  ])('%s: an error without the password, and nothing but a login is sent', async (_, login) => {
    const engine = await startMemCachier()
    const store = create({ servers: `${name}:${engine.port}`, protocol: 'text', timeout: 1000, ...login })
    const error = await store.get('sid').catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
    expect((error as Error).message).not.toContain('wrong')
    expect(engine.openings.join()).not.toContain('flush_all')
  })
})
