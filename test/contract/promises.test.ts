import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { afterAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { type Data, sessionOf } from './calls.ts'
import { RawMemcached } from './raw-memcached.ts'

// What the store gives beyond express-session's contract.

const memcached: string | undefined = inject('memcached')?.split(',')[0]
const prefix = `promises-${randomUUID()}:`

function create(options: MemcachedStoreOptions = {}): MemcachedStore {
  const store = new MemcachedStore({ servers: memcached, prefix, ...options })
  onTestFinished(() => store.close())
  return store
}

async function start(...flags: string[]): Promise<Memcached> {
  const server = await Memcached.start(...flags)
  onTestFinished(() => server.kill())
  return server
}

describe.skipIf(memcached === undefined)('without a callback', () => {
  const store = new MemcachedStore({ servers: memcached, prefix })
  afterAll(() => store.close())

  test('set, get, touch and destroy give promises', async () => {
    const sid = randomUUID()
    const stored = sessionOf({ a: 1 }, 60_000)
    expect(await store.set(sid, stored)).toBeUndefined()
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    expect(await store.touch(sid, stored)).toBeUndefined()
    expect(await store.destroy(sid)).toBeUndefined()
    expect(await store.get(sid)).toBeNull()
  })

  test('a session outlives the store that wrote it', async () => {
    const sid = randomUUID()
    const before = create()
    await before.set(sid, sessionOf({ a: 1 }))
    await before.close()
    expect(await create().get(sid)).toMatchObject({ a: 1 })
  })

  test('getMany gives those that are there', async () => {
    const sids = Array.from({ length: 2000 }, () => randomUUID())
    const there = sids.filter((_, i) => i % 3 === 0)
    await Promise.all(there.map(sid => store.set(sid, sessionOf({ sid }))))
    await store.destroy(there[0] as string)
    const found = await store.getMany(new Set(sids))
    expect([...found.keys()].sort()).toEqual(there.slice(1).sort())
    for (const [sid, session] of found) expect(session).toMatchObject({ sid })
  })

  test('getMany of nothing, of one twice, and with a callback', async () => {
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }))
    expect(await store.getMany([])).toEqual(new Map())
    expect([...(await store.getMany([sid, sid])).keys()]).toEqual([sid])
    const found = await new Promise(resolve => store.getMany([sid], (_, map) => resolve(map)))
    expect([...(found as Map<string, unknown>).keys()]).toEqual([sid])
  })

  test('a session from getMany is saved on condition, like one from get', async () => {
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }))
    const mine = (await store.getMany([sid])).get(sid) as Data
    const theirs = (await store.get(sid)) as Data
    await store.set(sid, Object.assign(theirs, { b: 2 }))
    await store.set(sid, Object.assign(mine, { c: 3 }))
    expect(await store.get(sid)).toMatchObject({ a: 1, b: 2, c: 3 })
  })
})

describe.skipIf(memcached === undefined)('update', () => {
  const count = (session: SessionData): void => {
    const data = session as Data
    data.count = (data.count as number) + 1
  }

  test('gives null, and does not call, where there is no session', async () => {
    const store = create()
    const [missing, destroyed] = [randomUUID(), randomUUID()]
    await store.set(destroyed, sessionOf())
    await store.destroy(destroyed)
    for (const sid of [missing, destroyed]) {
      const written = await store.update(sid, () => expect.unreachable())
      expect(written).toBeNull()
      expect(await store.get(sid)).toBeNull()
    }
  })

  test('changes in place, or takes what is returned', async () => {
    const store = create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ count: 1 }))
    expect(await store.update(sid, count)).toMatchObject({ count: 2 })
    const written = await store.update(sid, async session => ({ cookie: session.cookie, other: 1 }) as never)
    expect(written).not.toHaveProperty('count')
    expect(await store.get(sid)).toEqual(JSON.parse(JSON.stringify(written)))
  })

  test('with a callback', async () => {
    const store = create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ count: 1 }))
    const written = await new Promise(resolve => store.update(sid, count, (_, session) => resolve(session)))
    expect(written).toMatchObject({ count: 2 })
  })

  test('counts exactly, from several processes at once', async () => {
    const sid = randomUUID()
    const stores = Array.from({ length: 4 }, () => create())
    await stores[0]?.set(sid, sessionOf({ count: 0 }))
    const updates = stores.flatMap(store => Array.from({ length: 25 }, () => store.update(sid, count)))
    const counts = (await Promise.all(updates)).map(session => (session as Data).count as number)
    expect(counts.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    expect(await stores[0]?.get(sid)).toMatchObject({ count: 100 })
  })

  test('what it throws is given back, and the old value stays', async () => {
    const store = create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }))
    const failure = new Error('the application’s own')
    const throwing = (session: SessionData): never => {
      Object.assign(session, { a: 2 })
      throw failure
    }
    await expect(store.update(sid, throwing)).rejects.toBe(failure)
    await expect(store.update(sid, () => ({}) as never)).rejects.toThrow(TypeError)
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    // Its turn is over: others are not held up.
    await store.set(sid, sessionOf({ a: 3 }))
  })

  test('a life that is over destroys', async () => {
    const store = create()
    const sid = randomUUID()
    await store.set(sid, sessionOf())
    const reader = (await store.get(sid)) as Data
    expect(await store.update(sid, session => ({ ...session, ...sessionOf({}, -1000) }))).toBeNull()
    expect(await store.get(sid)).toBeNull()
    await store.set(sid, Object.assign(reader, { late: true }))
    expect(await store.get(sid)).toBeNull()
  })
})

describe.skipIf(memcached === undefined)('close', () => {
  const methods: Record<string, (store: MemcachedStore) => Promise<unknown>> = {
    get: store => store.get('sid'),
    getMany: store => store.getMany(['sid']),
    set: store => store.set('sid', sessionOf()),
    touch: store => store.touch('sid', sessionOf()),
    'touch of a dated session': store => store.touch('sid', sessionOf({}, 60_000)),
    destroy: store => store.destroy('sid'),
    update: store => store.update('sid', () => {}),
  }

  test.each(Object.entries(methods))('after it, %s fails with ERR_CLOSED', async (_, method) => {
    const store = create()
    await store.get('sid')
    await store.close()
    await expect(method(store)).rejects.toMatchObject({ name: 'MemcachedStoreError', code: 'ERR_CLOSED' })
  })

  test('lets operations on their way end, and leaves no connection', async () => {
    await using proxy = await TcpProxy.start(memcached as string)
    const store = create({ servers: proxy.address })
    const sids = Array.from({ length: 100 }, () => randomUUID())
    const writes = sids.map(sid => store.set(sid, sessionOf({ sid })))
    await store.close()
    await Promise.all(writes)
    expect((await create().getMany(sids)).size).toBe(100)
    await until(() => proxy.open === 0)
  })

  test('twice, with a callback, and of a store that was never used', async () => {
    const store = create()
    await store.close()
    await new Promise<void>((resolve, reject) => {
      store.close(error => (error ? reject(error) : resolve()))
    })
  })

  test('await using closes', async () => {
    const seen: MemcachedStore[] = []
    {
      await using store = new MemcachedStore({ servers: memcached, prefix })
      await store.get('sid')
      seen.push(store)
    }
    await expect(seen[0]?.get('sid')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

describe.skipIf(!hasMemcached)('several servers', () => {
  test('sessions are spread, and found by a store that names the servers in another order', async () => {
    const servers = [await start(), await start(), await start()]
    const addresses = servers.map(({ address }) => address)
    const store = create({ servers: addresses })
    const sids = Array.from({ length: 300 }, () => randomUUID())
    await Promise.all(sids.map(sid => store.set(sid, sessionOf({ sid }))))

    const held = await Promise.all(addresses.map(one => new RawMemcached(one).expirations(prefix)))
    // Each has some of them, and each of them is on one server.
    for (const keys of held) expect(keys.size).toBeGreaterThan(30)
    expect(held.flatMap(keys => [...keys.keys()]).sort()).toEqual(sids.map(sid => prefix + sid).sort())

    const other = create({ servers: addresses.toReversed().join(',') })
    expect([...(await other.getMany(sids)).keys()].sort()).toEqual(sids.toSorted())
  })

  test('one that is down fails its share with 503, and no other', async () => {
    const [down, ...up] = [await start(), await start(), await start()] as const
    const addresses = [down, ...up].map(({ address }) => address)
    const store = create({ servers: addresses })
    const sids = Array.from({ length: 300 }, () => randomUUID())
    await Promise.all(sids.map(sid => store.set(sid, sessionOf({ sid }))))
    const lost = await new RawMemcached(down.address).expirations(prefix)
    await down.kill()

    for (let round = 0; round < 3; round++) {
      const results = await Promise.allSettled(sids.map(sid => store.get(sid)))
      for (const [i, result] of results.entries()) {
        const sid = sids[i] as string
        if (lost.has(prefix + sid)) {
          expect(result).toMatchObject({ reason: { code: 'ERR_UNAVAILABLE', status: 503 } })
        } else {
          expect(result).toMatchObject({ value: { sid } })
        }
      }
    }
    await expect(store.getMany(sids)).rejects.toMatchObject({ status: 503 })

    await down.restart()
    await until(() => Promise.all(sids.map(sid => store.get(sid))).catch(() => null))
    const found = await store.getMany(sids)
    expect(found.size).toBe(300 - lost.size)
  })
})
