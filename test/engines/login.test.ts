import { describe, expect, onTestFinished, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { sessionOf } from '../contract/calls.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { LoginMemcached } from './engine.ts'

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

  test('nothing of the password is stored where no login is wanted', async () => {
    const memcached = await Memcached.start('-B', 'ascii')
    onTestFinished(() => memcached.kill())
    const store = create({ servers: memcached.address, username: 'shop', password: 'word' })
    await store.set('sid', sessionOf({ n: 1 }))
    expect((await store.stats()).servers).toMatchObject([{ items: 1 }])
  })
})
