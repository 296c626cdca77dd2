import { Client } from 'memjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  MemcachedStore,
  MemcachedStoreError,
  type MemcachedStoreOptions,
  type MemjsClient,
} from '../../lib/index.ts'
import { SaslAuthd } from '../faults/saslauthd.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { stored } from './fill.ts'

async function start(...flags: string[]): Promise<Memcached> {
  const server = await Memcached.start(...flags)
  onTestFinished(() => server.kill())
  return server
}

function create(options: MemcachedStoreOptions): MemcachedStore {
  const store = new MemcachedStore({ timeout: 300, ...options })
  onTestFinished(() => store.close())
  return store
}

/** Every way to list fails, with the same. */
async function failures(store: MemcachedStore): Promise<MemcachedStoreError> {
  const drain = async (): Promise<void> => {
    for await (const _ of store.sessions());
  }
  const ways = [store.length(), store.ids(), store.all(), store.clear(), drain()]
  const errors = await Promise.all(
    ways.map(way =>
      way.then(
        () => 'no error',
        thrown => thrown,
      ),
    ),
  )
  for (const error of errors) {
    expect(error).toBeInstanceOf(MemcachedStoreError)
    expect(error.message).toBe(errors[0].message)
  }
  return errors[0]
}

describe.skipIf(!hasMemcached)('servers that list no sessions', () => {
  test('-X', async () => {
    const { address } = await start('-X')
    const store = create({ servers: address })
    await store.set('sid', JSON.parse(stored(1)))
    const error = await failures(store)
    expect(error).toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
    expect(error.message).toMatch(/-X/)
    expect(await store.get('sid')).toMatchObject({ number: 1 })
  })

  test('-o no_lru_crawler', async () => {
    const { address } = await start('-o', 'no_lru_crawler')
    const error = await failures(create({ servers: address }))
    expect(error).toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
    expect(error.message).toMatch(/no_lru_crawler/)
  })

  test('SASL, with the password and without', async () => {
    await using authd = await SaslAuthd.start({ ada: 'secret' })
    process.env.SASL_CONF_PATH = authd.folder
    const { address } = await start('-S')
    delete process.env.SASL_CONF_PATH
    const store = create({ servers: address, username: 'ada', password: 'secret' })
    await store.set('sid', JSON.parse(stored(1)))
    for (const one of [store, create({ servers: address })]) {
      const error = await failures(one)
      expect(error).toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
      expect(error.message).toMatch(/-S/)
      expect(error.message).not.toMatch(/ada|secret/)
    }
    const { servers } = await store.stats()
    expect(servers).toMatchObject([{ address, reachable: true, items: 1 }])
    const wrong = await create({ servers: address, username: 'ada', password: 'wrong' }).stats()
    expect(wrong.servers).toMatchObject([{ address, reachable: false, error: { code: 'ERR_UNAVAILABLE' } }])
  })

  test('a client of your own', async () => {
    const { address } = await start()
    const client = Client.create(address, { logger: { log() {} } } as never)
    onTestFinished(() => client.close())
    const store = create({ client: client as unknown as MemjsClient })
    expect(await failures(store)).toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
    const { servers } = await store.stats()
    expect(servers).toMatchObject([{ reachable: false, error: { code: 'ERR_NOT_SUPPORTED' } }])
  })

  test('one of several is enough to fail: never a part for the whole', async () => {
    const servers = [(await start()).address, (await start('-X')).address]
    expect(await failures(create({ servers }))).toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
  })

  test('down', async () => {
    const [one, other] = [await start(), await start()]
    const store = create({ servers: [one.address, other.address] })
    expect(await store.length()).toBe(0)
    await other.kill()
    expect(await failures(store)).toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
    const { servers } = await store.stats()
    expect(servers).toMatchObject([
      { address: one.address, reachable: true },
      { address: other.address, reachable: false, error: { code: 'ERR_UNAVAILABLE' } },
    ])
  })

  test('frozen', async () => {
    const server = await start()
    const store = create({ servers: server.address })
    expect(await store.length()).toBe(0)
    server.freeze()
    expect(await failures(store)).toMatchObject({ code: 'ERR_TIMEOUT', status: 503 })
    expect((await store.stats()).servers).toMatchObject([
      { reachable: false, error: { code: 'ERR_TIMEOUT' } },
    ])
    server.thaw()
    expect(await store.length()).toBe(0)
  })
})
