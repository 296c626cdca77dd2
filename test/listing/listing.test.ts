import { randomUUID } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { SessionData } from 'express-session'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { fill, keysOn, sidOf, stored } from './fill.ts'

interface Data extends SessionData {
  [name: string]: unknown
}

function sessionOf(data: object = {}, maxAge = 60_000): Data {
  const expires = new Date(Date.now() + maxAge).toISOString()
  return { cookie: { originalMaxAge: maxAge, expires, httpOnly: true, path: '/' }, ...data } as never
}

const kinds = [
  { kind: 'EmbeddedMemcached', isThere: true },
  { kind: 'memcached', isThere: hasMemcached },
] as const

for (const { kind, isThere } of kinds) {
  describe.skipIf(!isThere)(`listing on ${kind}`, () => {
    let address: string
    let stop: () => Promise<void>

    beforeAll(async () => {
      if (kind === 'memcached') {
        const server = await Memcached.start()
        address = server.address
        stop = () => server.kill()
      } else {
        const server = await EmbeddedMemcached.start()
        address = server.address
        stop = () => server.stop()
      }
    })
    afterAll(() => stop())

    function create(options: MemcachedStoreOptions = {}): MemcachedStore {
      const store = new MemcachedStore({ servers: address, prefix: `${randomUUID()}:`, ...options })
      onTestFinished(() => store.close())
      return store
    }

    async function listed(store: MemcachedStore): Promise<Map<string, SessionData>> {
      const found = new Map<string, SessionData>()
      for await (const { sid, session } of store.sessions()) found.set(sid, session)
      // All ways to list agree.
      expect(new Set(await store.ids())).toEqual(new Set(found.keys()))
      expect(await store.length()).toBe(found.size)
      const all = await store.all()
      expect(new Map(all.map(({ id, ...session }) => [id, session]))).toEqual(found)
      return found
    }

    test('nothing, where nothing is', async () => {
      expect(await listed(create())).toEqual(new Map())
    })

    test('sessions with their data, each with its id', async () => {
      const store = create()
      const sids = Array.from({ length: 1000 }, (_, number) => sidOf(number))
      await Promise.all(sids.map((sid, number) => store.set(sid, sessionOf({ number }))))
      const found = await listed(store)
      expect([...found.keys()].sort()).toEqual(sids)
      for (const [sid, session] of found) expect(session).toEqual(await store.get(sid))
    })

    test('ids that are no keys: long ones, with spaces, of any script, with marks', async () => {
      const store = create()
      const sids = ['a b', 'é', 'x'.repeat(300), '#x', '@x', '!x', '%41', 'a\nb', '"', '\ud800', '=', 'key=']
      for (const sid of sids) await store.set(sid, sessionOf({ sid }))
      const found = await listed(store)
      expect(new Set(found.keys())).toEqual(new Set(sids))
      for (const [sid, session] of found) expect(session).toMatchObject({ sid })
    })

    test('no session: logged out, over, of another prefix, locks and indexes, something else', async () => {
      const prefix = `${randomUUID()}:`
      const store = create({ prefix, userOf: session => (session as Data).user as string })
      const corrupt: string[] = []
      store.on('corrupt', sid => corrupt.push(sid))
      for (const sid of ['alive', 'destroyed', 'revoked']) await store.set(sid, sessionOf({ user: 'ada' }))
      await store.destroy('destroyed')
      await store.destroyAllOf('ada', { except: 'alive' })
      await create({ prefix: `${prefix.slice(0, -1)};` }).set('foreign', sessionOf())
      await fill(address, 2, number => [`${prefix}${number === 0 ? 'text' : '#text'}`, 'no session'])
      await store.withLock('alive', async () => {
        const found: string[] = []
        for await (const { sid } of store.sessions()) found.push(sid)
        expect(found).toEqual(['alive'])
        expect(await store.ids()).toEqual(['alive'])
        expect(await store.length()).toBe(1)
      })
      expect(new Set(corrupt)).toEqual(new Set(['text']))
    })

    test('over is over: by the date of the cookie, though memcached still has it', async () => {
      const store = create({ touchAfter: 0 })
      await store.set('short', sessionOf({}, 300))
      await store.set('long', sessionOf())
      await until(async () => (await store.get('short')) === null)
      // memcached's clock has whole seconds, and gets one more.
      expect(await keysOn(address).then(keys => [...keys].some(key => key.endsWith(':short')))).toBe(true)
      expect([...(await listed(store)).keys()]).toEqual(['long'])
    })

    test('a cookie without a date', async () => {
      const store = create()
      await store.set('browser', { cookie: { originalMaxAge: null } } as never)
      expect([...(await listed(store)).keys()]).toEqual(['browser'])
    })

    test('large sessions come in small batches', async () => {
      const store = create()
      for (let number = 0; number < 20; number++)
        await store.set(sidOf(number), sessionOf({ x: 'x'.repeat(200_000) }))
      expect(await listed(store)).toHaveProperty('size', 20)
    })

    test('a listed session is saved on condition, like one from get', async () => {
      const store = create()
      await store.set('sid', sessionOf({ a: 1 }))
      for await (const { sid, session } of store.sessions()) {
        const theirs = (await store.get(sid)) as Data
        await store.set(sid, Object.assign(theirs, { b: 2 }))
        await store.set(sid, Object.assign(session, { c: 3 }))
      }
      expect(await store.get('sid')).toMatchObject({ a: 1, b: 2, c: 3 })
      expect((await store.stats()).counts).toMatchObject({ conflicts: 1, merges: 1 })
    })

    test('sessions may be destroyed on the way', async () => {
      const store = create()
      for (let number = 0; number < 500; number++) await store.set(sidOf(number), sessionOf())
      for await (const { sid } of store.sessions()) await store.destroy(sid)
      expect(await listed(store)).toEqual(new Map())
    })

    test('several at once, each complete', async () => {
      const store = create()
      for (let number = 0; number < 300; number++) await store.set(sidOf(number), sessionOf())
      const lengths = await Promise.all(Array.from({ length: 10 }, () => store.length()))
      expect(new Set(lengths)).toEqual(new Set([300]))
      const others = await Promise.all([store, create(), create()].map(one => one.ids()))
      expect(others.map(ids => ids.length)).toEqual([300, 0, 0])
    })

    test('break closes the connections; the store goes on', async () => {
      const store = create()
      for (let number = 0; number < 300; number++) await store.set(sidOf(number), sessionOf())
      const before = await connections(address)
      for await (const { sid } of store.sessions()) {
        expect(sid).toMatch(/^sid-/)
        break
      }
      await until(async () => (await connections(address)) === before)
      expect(await store.length()).toBe(300)
      const iterator = store.sessions()
      await iterator.next()
      expect(await iterator.return()).toEqual({ done: true, value: undefined })
      expect(await iterator.next()).toEqual({ done: true, value: undefined })
    })

    test('a consumer that takes its time keeps nobody else waiting', async () => {
      const store = create()
      const count = kind === 'memcached' ? 60_000 : fewOrMany(6000, 60_000)
      await fill(address, count, number => [`slow:${sidOf(number)}`, stored(number)])
      const slow = create({ prefix: 'slow:' })
      const iterator = slow.sessions()
      await iterator.next()
      expect(await store.length()).toBe(0)
      expect(await keysOn(address)).toContain(`slow:${sidOf(0)}`)
      await iterator.return()
      await slow.clear()
    })

    test('with callbacks', async () => {
      const store = create()
      await store.set('sid', sessionOf({ a: 1 }))
      const called = <T>(start: (callback: (error?: unknown, value?: T) => void) => void): Promise<T> =>
        new Promise((resolve, reject) =>
          start((error, value) => (error ? reject(error) : resolve(value as T))),
        )
      expect(await called(callback => store.length(callback))).toBe(1)
      expect(await called(callback => store.ids(callback))).toEqual(['sid'])
      expect(await called(callback => store.all(callback))).toMatchObject([{ id: 'sid', a: 1 }])
      expect(await called(callback => store.stats(callback))).toHaveProperty('counts')
      expect(await called(callback => store.clear(callback))).toBeUndefined()
      expect(await store.length()).toBe(0)
    })

    test('clear forgets logouts, indexes and locks, and nobody else’s keys', async () => {
      const prefix = `${randomUUID()}:`
      const store = create({ prefix, userOf: session => (session as Data).user as string })
      const other = create()
      await other.set('other', sessionOf())
      await store.set('alive', sessionOf({ user: 'ada' }))
      await store.set('gone', sessionOf())
      await store.destroy('gone')
      await store
        .withLock('alive', async () => {
          const ours = async (): Promise<string[]> =>
            [...(await keysOn(address))].filter(key => key.startsWith(prefix))
          expect(await ours()).toHaveLength(4)
          await store.clear()
          expect(await ours()).toEqual([])
        })
        .catch(({ code }) => expect(code).toBe('ERR_CONFLICT'))
      expect(await other.length()).toBe(1)
    })

    test('a closed store lists nothing, and a listing ends when the store is closed', async () => {
      const store = create()
      for (let number = 0; number < 300; number++) await store.set(sidOf(number), sessionOf())
      const iterator = store.sessions()
      await iterator.next()
      await store.close()
      const drain = async (): Promise<void> => {
        for await (const _ of iterator);
      }
      await expect(drain()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      await expect(store.length()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      await expect(store.clear()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    })

    async function connections(server: string): Promise<number> {
      const [host, port] = server.split(':') as [string, string]
      const socket: Socket = connect(Number(port), host)
      socket.write('stats\r\nquit\r\n')
      let text = ''
      for await (const chunk of socket) text += chunk
      return Number(/STAT curr_connections (\d+)/.exec(text)?.[1])
    }
  })
}
