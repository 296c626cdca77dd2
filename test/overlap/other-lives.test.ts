import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { describe, expect, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { PATIENT } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { load, save } from './live.ts'
import { type AnySession, makeSession, TwoStores } from './two-stores.ts'

const COUNT = 8

describe.skipIf(!hasMemcached)('a session that another store has read', () => {
  async function fill(store: MemcachedStore): Promise<string[]> {
    const sids = Array.from({ length: COUNT }, () => randomUUID())
    await Promise.all(sids.map((sid, n) => store.set(sid, makeSession({ n }))))
    return sids
  }

  async function found(store: MemcachedStore, sids: string[]): Promise<unknown[]> {
    const sessions = (await store.getMany(sids)) as Map<string, AnySession>
    return sids.map(sid => sessions.get(sid)?.n)
  }

  const everyNumber = Array.from({ length: COUNT }, (_, n) => n)

  test.each<[string, MemcachedStoreOptions]>([
    ['of the same prefix', {}],
    ['of another prefix', { prefix: 'other:' }],
  ])('is stored by a new one %s on another server', async (_, options) => {
    await using there = await Memcached.start()
    await using here = await Memcached.start()
    await using old = new MemcachedStore({ servers: there.address, ...PATIENT })
    await using fresh = new MemcachedStore({ servers: here.address, ...PATIENT, ...options })
    const sids = await fill(old)
    for await (const { sid, session } of old.sessions()) await fresh.set(sid, session)
    expect(await found(fresh, sids)).toEqual(everyNumber)
    // Again, and over what has changed there meanwhile: it is what this store is given.
    const read = await old.getMany(sids)
    for (const [sid, session] of read) {
      await fresh.update(sid, data => {
        Object.assign(data, { n: -1 })
      })
      await fresh.set(sid, session)
    }
    expect(await found(fresh, sids)).toEqual(everyNumber)
    expect(await found(old, sids)).toEqual(everyNumber)
  })

  test('is stored by a new one on the same server, under another prefix or over what is there', async () => {
    await using memcached = await Memcached.start()
    const servers = memcached.address
    await using old = new MemcachedStore({ servers, ...PATIENT })
    await using moved = new MemcachedStore({ servers, prefix: 'moved:', ...PATIENT })
    await using same = new MemcachedStore({ servers, ...PATIENT })
    const sids = await fill(old)
    const read = await old.getMany(sids)
    for (const [sid, session] of read) await moved.set(sid, session)
    expect(await found(moved, sids)).toEqual(everyNumber)
    for (const sid of sids) await same.destroy(sid)
    for (const [sid, session] of read) await same.set(sid, session)
    expect(await found(old, sids)).toEqual(everyNumber)
  })

  test('is stored again by the one that read it, in the state that this one knows', async () => {
    await using there = await Memcached.start()
    await using here = await Memcached.start()
    await using old = new MemcachedStore({ servers: there.address, ...PATIENT })
    await using fresh = new MemcachedStore({ servers: here.address, ...PATIENT })
    const [sid] = (await fill(old)) as [string]
    const session = (await old.get(sid)) as AnySession
    await fresh.set(sid, session)
    session.n = 'changed'
    await fresh.set(sid, session)
    await old.set(sid, session)
    expect(await found(fresh, [sid])).toEqual(['changed'])
    expect(await found(old, [sid])).toEqual(['changed'])
  })
})

describe.skipIf(!hasMemcached)('after a restart of memcached, whose tokens begin anew', () => {
  interface World extends AsyncDisposable {
    readonly memcached: Memcached
    readonly stores: TwoStores
    /** The token under which a session is stored. */
    token(sid: string): Promise<string | undefined>
  }

  async function start(options: MemcachedStoreOptions = {}): Promise<World> {
    const memcached = await Memcached.start()
    const stores = new TwoStores({ servers: memcached.address, timeout: 5000, ...options })
    const raw = new RawMemcached(memcached.address)
    return {
      memcached,
      stores,
      async token(sid) {
        const [key] = [...(await raw.expirations()).keys()].filter(name => name.endsWith(sid))
        return key === undefined ? undefined : raw.token(key)
      },
      async [Symbol.asyncDispose]() {
        await stores[Symbol.asyncDispose]()
        await memcached.kill()
      },
    }
  }

  test.each(['save', 'touch and save', 'save again'])('an old one that matches is none: %s', async how => {
    await using world = await start()
    const { memcached, stores } = world
    const sid = await stores.create({ a: 1, b: 1 })
    const mine = await load(stores.here, sid)
    if (how === 'save again') {
      mine.first = 1
      await save(mine)
    }
    const before = await world.token(sid)
    await memcached.restart()
    await stores.elsewhere.set(sid, makeSession({ a: 1, b: 2, theirs: 1 }))
    for (let turn = 0; turn < 10 && (await world.token(sid)) !== before; turn++) {
      await stores.elsewhere.set(sid, makeSession({ a: 1, b: 2, theirs: 1 }))
    }
    expect(await world.token(sid)).toBe(before)
    if (how === 'touch and save') {
      mine.cookie.maxAge = 3_600_000
      await stores.here.touch(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 1, b: 2, theirs: 1 })
    }
    mine.a = 2
    await save(mine)
    expect(await stores.stored(sid)).toEqual({ a: 2, b: 2, theirs: 1 })
  })

  test('nor is it one on a tombstone: a logout stays one', async () => {
    await using world = await start()
    const { memcached, stores } = world
    const sid = await stores.create({ user: 'Ada' })
    const before = await world.token(sid)
    const mine = await load(stores.here, sid)
    await memcached.restart()
    await stores.elsewhere.destroy(sid)
    expect(await world.token(sid)).toBe(before)
    mine.a = 2
    await save(mine)
    expect(await stores.stored(sid)).toBeNull()
    expect(stores.conflicts).toEqual([[sid, 'destroyed']])
  })

  test('nor with `reject`', async () => {
    await using world = await start({ onConflict: 'reject' })
    const { memcached, stores } = world
    const sid = await stores.create({ a: 1 })
    const before = await world.token(sid)
    const mine = await load(stores.here, sid)
    await memcached.restart()
    await stores.elsewhere.set(sid, makeSession({ a: 1, theirs: 1 }))
    expect(await world.token(sid)).toBe(before)
    mine.a = 2
    await expect(save(mine)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect(await stores.stored(sid)).toEqual({ a: 1, theirs: 1 })
  })

  test('nor where an update has read before it', async () => {
    await using world = await start()
    const { memcached, stores } = world
    const sid = await stores.create({ a: 1, count: 0 })
    const before = await world.token(sid)
    let calls = 0
    const updated = await stores.here.update(sid, async data => {
      if (++calls === 1) {
        await memcached.restart()
        await stores.elsewhere.set(sid, makeSession({ a: 2, count: 5 }))
        expect(await world.token(sid)).toBe(before)
      }
      const counted = data as unknown as { count: number }
      counted.count++
    })
    expect(updated).toMatchObject({ a: 2, count: 6 })
    expect(await stores.stored(sid)).toEqual({ a: 2, count: 6 })
  })

  test('and what nobody has written since is kept without a conflict', async () => {
    for (const onConflict of ['merge', 'reject'] as const) {
      await using world = await start({ onConflict })
      const { memcached, stores } = world
      const sid = await stores.create({ a: 1 })
      const mine = await load(stores.here, sid)
      await memcached.restart()
      mine.a = 2
      await save(mine)
      expect(await stores.stored(sid)).toEqual({ a: 2 })
      expect(stores.conflicts).toEqual([])
    }
  })
})

describe.skipIf(!hasMemcached)('memcached without CAS (-C) is refused', () => {
  const refusal = {
    code: 'ERR_NOT_SUPPORTED',
    message: expect.stringMatching(/counts no versions \(CAS\).*-C/),
  }

  test('by whatever writes or reads a session, and nothing is acknowledged', async () => {
    await using memcached = await Memcached.start('-C')
    const raw = new RawMemcached(memcached.address)
    await using store = new MemcachedStore({ servers: memcached.address, ...PATIENT })
    const sid = randomUUID()
    await expect(store.set(sid, makeSession({ a: 1 }))).rejects.toMatchObject(refusal)
    await raw.set(`sess:${sid}`, JSON.stringify(makeSession({ a: 1 })))
    await expect(store.get(sid)).rejects.toMatchObject(refusal)
    await expect(store.getMany([sid])).rejects.toMatchObject(refusal)
    await expect(store.update(sid, () => expect.fail('called'))).rejects.toMatchObject(refusal)
    await expect(store.touch(sid, makeSession({ a: 1 }))).rejects.toMatchObject(refusal)
    await expect(store.set(sid, makeSession({ a: 2 }))).rejects.toMatchObject(refusal)
    // A listing writes nothing; what it gives cannot be saved.
    for await (const { session } of store.sessions()) {
      await expect(store.set(sid, Object.assign(session, { b: 1 }))).rejects.toMatchObject(refusal)
    }
    await expect(store.get(sid)).rejects.not.toMatchObject({ message: expect.stringContaining(sid) })
  })

  test('with `userOf`, too', async () => {
    await using memcached = await Memcached.start('-C')
    const userOf = (session: SessionData): string => (session as AnySession).user as string
    await using store = new MemcachedStore({ servers: memcached.address, userOf, ...PATIENT })
    await expect(store.set(randomUUID(), makeSession({ user: 'Ada' }))).rejects.toMatchObject(refusal)
  })

  test('also where it replaces one that has it', async () => {
    await using memcached = await Memcached.start()
    const servers = memcached.address
    await using store = new MemcachedStore({ servers, ...PATIENT })
    const sid = randomUUID()
    await store.set(sid, makeSession({ a: 1 }))
    const mine = await load(store, sid)
    await memcached.restart('-C')
    mine.a = 2
    await expect(save(mine)).rejects.toMatchObject(refusal)
    await expect(store.get(sid)).rejects.toMatchObject(refusal)
  })
})
