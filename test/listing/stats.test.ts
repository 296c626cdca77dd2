import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { fill } from './fill.ts'

const session = (data: object = {}): SessionData =>
  ({
    cookie: { originalMaxAge: 60_000, expires: new Date(Date.now() + 60_000).toISOString() },
    ...data,
  }) as never

async function start(...flags: string[]): Promise<Memcached> {
  const server = await Memcached.start(...flags)
  onTestFinished(() => server.kill())
  return server
}

function create(servers: string | string[], options: MemcachedStoreOptions = {}): MemcachedStore {
  const store = new MemcachedStore({ servers, ...options })
  onTestFinished(() => store.close())
  return store
}

describe.skipIf(!hasMemcached)('stats', () => {
  test('what each server tells of itself', async () => {
    const [one, other] = [await start('-m', '100', '-c', '500'), await start()]
    const store = create([one.address, other.address])
    await Promise.all(Array.from({ length: 100 }, () => store.set(randomUUID(), session())))
    await Promise.all(Array.from({ length: 50 }, () => store.get(randomUUID())))
    const { servers } = await store.stats()
    expect(servers.map(({ address }) => address)).toEqual([one.address, other.address])
    const total = { items: 0, misses: 0, hits: 0 }
    for (const server of servers) {
      if (!server.reachable) throw server.error
      expect(server.version).toMatch(/^\d+\.\d+\.\d+/)
      expect(server.uptime).toBeGreaterThan(0)
      expect(server.bytes).toBeGreaterThan(server.items * 100)
      expect(server.evictions).toBe(0)
      expect(server.connections).toBeGreaterThanOrEqual(2)
      expect(server.roundTrip).toBeGreaterThan(0)
      total.items += server.items
      total.misses += server.misses
      total.hits += server.hits
    }
    expect(total).toEqual({ items: 100, misses: 50, hits: 0 })
    expect(servers[0]).toMatchObject({ limit: 100 * 1024 * 1024, connectionLimit: 500 })
    expect(servers[1]).toMatchObject({ limit: 64 * 1024 * 1024, connectionLimit: 1024 })
  })

  test('reads and writes', async () => {
    const store = create((await start()).address, { touchAfter: 0 })
    await store.set('sid', session({ n: 0 }))
    await store.get('nobody')
    await store.getMany(['a', 'b'])
    const read = (await store.get('sid')) as SessionData
    expect((await store.stats()).counts).toMatchObject({ reads: 4, writes: 1 })
    await store.update('sid', one => Object.assign(one, { n: 1 }))
    await store.update('nobody', one => one)
    read.cookie.expires = new Date(Date.now() + 90_000)
    await store.touch('sid', read)
    await store.destroy('sid')
    expect((await store.stats()).counts).toMatchObject({ reads: 4, writes: 4 })
  })

  test('conflicts, merges and retries', async () => {
    const store = create((await start()).address)
    await store.set('sid', session())
    const [mine, theirs, late] = await Promise.all([store.get('sid'), store.get('sid'), store.get('sid')])
    await store.set('sid', Object.assign(theirs as object, { b: 1 }) as never)
    await store.set('sid', Object.assign(mine as object, { a: 1 }) as never)
    expect((await store.stats()).counts).toMatchObject({ conflicts: 1, merges: 1, retries: 0, writes: 3 })
    await store.destroy('sid')
    await store.set('sid', Object.assign(late as object, { c: 1 }) as never)
    expect((await store.stats()).counts).toMatchObject({ conflicts: 2, merges: 1, writes: 4 })

    await store.set('counter', session({ n: 0 }))
    const another = create(await addressOf(store))
    await store.update('counter', async one => {
      // Once, while the first attempt is under way.
      if ((one as { n?: number }).n === 0)
        await another.update('counter', two => Object.assign(two, { n: 1 }))
    })
    expect((await store.stats()).counts.retries).toBe(1)
  })

  test('timeouts, told apart from other failures', async () => {
    const server = await start()
    const store = create(server.address, { timeout: 100 })
    await store.get('sid')
    await server.freeze()
    const outcomes = await Promise.allSettled([store.get('a'), store.get('b'), store.set('c', session())])
    expect(outcomes.map(one => one.status === 'rejected' && one.reason.code)).toEqual(
      Array(3).fill('ERR_TIMEOUT'),
    )
    await expect(store.get('a')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    await new Promise<void>(resolve => store.get('a', () => resolve()))
    server.thaw()
    const { counts } = await store.stats()
    expect(counts).toMatchObject({ timeouts: 3, reads: 5, writes: 0 })
  })

  test('corrupt items', async () => {
    const { address } = await start()
    const store = create(address)
    await fill(address, 1, () => ['sess:sid', '{"no":"cookie"}'])
    expect(await store.get('sid')).toBeNull()
    expect((await store.stats()).counts.corrupt).toBe(1)
  })

  test('are a picture, not the counters themselves', async () => {
    const store = create((await start()).address)
    const { counts } = await store.stats()
    await store.get('sid')
    expect(counts.reads).toBe(0)
  })
})

async function addressOf(store: MemcachedStore): Promise<string> {
  return (await store.stats()).servers[0]?.address as string
}
