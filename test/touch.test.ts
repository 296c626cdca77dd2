import { randomUUID } from 'node:crypto'
import express from 'express'
import session, { type SessionData, type SessionOptions } from 'express-session'
import request from 'supertest'
import { afterEach, beforeEach, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../lib/index.ts'
import { RecentKeys } from '../lib/recent-keys.ts'
import { TOMBSTONE } from '../lib/storage/stored-form.ts'
import { type Data, sessionOf } from './contract/calls.ts'
import { RawMemcached } from './contract/raw-memcached.ts'
import { OPCODE } from './support/frames.ts'
import { LOOK } from './support/protocol.ts'
import { TcpProxy } from './support/proxy.ts'

const memcached: string | undefined = inject('memcached')?.split(',')[0]
const prefix = `touch-${randomUUID()}:`
const raw = new RawMemcached(memcached ?? ':')

const HOUR = 3_600_000
/** 1 % of an hour, the default of `touchAfter` for a session that lives so long. */
const SLACK = 36_000

// Only the clocks of this process: memcached's own goes on as ever.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function pass(milliseconds: number): void {
  vi.advanceTimersByTime(milliseconds)
}

interface Counted {
  readonly store: MemcachedStore
  /** Requests on the wire since the last time this was asked, by name of the operation. */
  wire(): Record<string, number>
}

async function create(options: MemcachedStoreOptions = {}): Promise<Counted> {
  const proxy = await TcpProxy.start(memcached as string)
  const store = new MemcachedStore({ servers: proxy.address, prefix, ...options })
  onTestFinished(async () => {
    await store.close()
    await proxy[Symbol.asyncDispose]()
  })
  return {
    store,
    wire() {
      const named = Object.entries(OPCODE).map(([name, code]) => [name, proxy.count(code)] as const)
      expect(named.reduce((sum, [, times]) => sum + times, 0)).toBe(proxy.count())
      proxy.requests.clear()
      return Object.fromEntries(named.filter(([, times]) => times > 0))
    },
  }
}

/** What express-session makes of a session that is got, and touches at the end of the request. */
async function liveOf(store: MemcachedStore, sid: string): Promise<session.Session & Data> {
  const req = { sessionID: sid, sessionStore: store } as never
  return store.createSession(req, (await store.get(sid)) as SessionData) as session.Session & Data
}

async function storedIn(sid: string): Promise<Data> {
  return JSON.parse((await raw.get(prefix + sid))?.value as string)
}

describe.skipIf(memcached === undefined)('a request that only reads', () => {
  async function start(options: MemcachedStoreOptions, sessionOptions: Partial<SessionOptions>) {
    const counted = await create(options)
    const app = express()
    app.use(
      session({
        store: counted.store,
        secret: 'a secret of the tests',
        resave: false,
        saveUninitialized: false,
        ...sessionOptions,
      }),
    )
    app.post('/', (req, res) => {
      Object.assign(req.session, { user: 'Ada' })
      res.json(req.sessionID)
    })
    app.get('/', (req, res) => {
      res.json((req.session as unknown as Data).user)
    })
    const browser = request.agent(app)
    const { body: sid } = await browser.post('/')
    const read = async (): Promise<Record<string, number>> => {
      counted.wire()
      expect((await browser.get('/')).body).toBe('Ada')
      return counted.wire()
    }
    return { ...counted, sid, read }
  }

  test.each([
    ['with a maxAge', { cookie: { maxAge: HOUR } }],
    ['rolling', { cookie: { maxAge: HOUR }, rolling: true }],
    ['resave: true', { cookie: { maxAge: HOUR }, resave: true }],
    ['without an expiry', {}],
    ['without an expiry, resave: true', { resave: true }],
  ])('costs one round trip: %s', async (_, options) => {
    const { read } = await start({}, options)
    for (let i = 0; i < 3; i++) {
      pass(1000)
      expect(await read()).toEqual({ get: 1 })
    }
  })

  test.each([false, true])('past touchAfter it costs a second one, once (resave: %j)', async resave => {
    const { read, sid } = await start({}, { cookie: { maxAge: HOUR }, rolling: true, resave })
    const before = await raw.expiration(prefix + sid)
    pass(SLACK - 1)
    expect(await read()).toEqual({ get: 1 })
    pass(1)
    expect(await read()).toEqual({ get: 1, replace: 1 })
    expect(await storedIn(sid)).toMatchObject({
      user: 'Ada',
      cookie: { originalMaxAge: HOUR, expires: new Date(Date.now() + HOUR).toISOString() },
    })
    expect(await raw.expiration(prefix + sid)).toBeGreaterThanOrEqual(before as number)
    pass(SLACK - 1)
    expect(await read()).toEqual({ get: 1 })
  })

  test('touchAfter says when', async () => {
    const { read } = await start({ touchAfter: 1000 }, { cookie: { maxAge: HOUR } })
    pass(999_999)
    expect(await read()).toEqual({ get: 1 })
    pass(1)
    expect(await read()).toEqual({ get: 1, replace: 1 })
  })

  test('touchAfter 0 refreshes always', async () => {
    const { read, sid } = await start({ touchAfter: 0 }, { cookie: { maxAge: HOUR } })
    for (const pause of [0, 1, 1000]) {
      pass(pause)
      expect(await read()).toEqual({ get: 1, replace: 1 })
      expect((await storedIn(sid)).cookie.expires).toBe(new Date(Date.now() + HOUR).toISOString())
    }
  })

  test('touchAfter 0 refreshes a session without an expiry, too', async () => {
    const { read } = await start({ touchAfter: 0 }, {})
    for (let i = 0; i < 3; i++) expect(await read()).toEqual({ get: 1, replace: 1 })
  })
})

describe.skipIf(memcached === undefined)('touch', () => {
  test('of a session that this request has just saved sends nothing', async () => {
    const { store, wire } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, HOUR))
    const live = await liveOf(store, sid)
    await store.set(sid, Object.assign(live, { a: 2 }))
    wire()
    pass(1000)
    await store.touch(sid, live.touch())
    expect(wire()).toEqual({})
  })

  test('rewrites what was read, not what the request has made of it', async () => {
    const { store } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, HOUR))
    const live = await liveOf(store, sid)
    pass(SLACK)
    await store.touch(sid, Object.assign(live.touch(), { a: 2, b: 3 }))
    const { cookie, ...data } = await storedIn(sid)
    expect(data).toEqual({ a: 1 })
    expect(cookie.expires).toBe(new Date(Date.now() + HOUR).toISOString())
  })

  test('and the save after it is conditional on the touched session', async () => {
    const { store, wire } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, HOUR))
    const live = await liveOf(store, sid)
    pass(SLACK)
    wire()
    await store.touch(sid, live.touch())
    await store.set(sid, Object.assign(live, { b: 2 }))
    expect(wire()).toEqual({ replace: 2, ...LOOK })
    expect(await storedIn(sid)).toMatchObject({ a: 1, b: 2 })
  })

  test('that comes after another request’s save looks, and leaves it alone where it is fresh', async () => {
    const { store, wire } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, HOUR))
    const [slow, quick] = [await liveOf(store, sid), await liveOf(store, sid)]
    pass(SLACK)
    await store.set(sid, Object.assign(quick.touch(), { b: 2 }))
    wire()
    await store.touch(sid, slow.touch())
    expect(wire()).toEqual({ replace: 1, get: 1 })
    expect(await storedIn(sid)).toMatchObject({ a: 1, b: 2 })
  })

  test('shortens a life, too', async () => {
    const { store } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, HOUR))
    const live = await liveOf(store, sid)
    live.cookie.maxAge = 60_000
    await store.touch(sid, live)
    expect(await raw.expiration(prefix + sid)).toBeLessThan((await raw.time()) + 70)
    pass(61_000)
    expect(await store.get(sid)).toBeNull()
  })

  test('takes an expiry away, and gives one', async () => {
    const { store } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const live = await liveOf(store, sid)
    live.cookie.expires = null
    await store.touch(sid, live)
    expect((await storedIn(sid)).cookie.expires).toBeNull()
    expect(await raw.expiration(prefix + sid)).toBeGreaterThan((await raw.time()) + 80_000)
    live.cookie.maxAge = 60_000
    await store.touch(sid, live)
    expect(await raw.expiration(prefix + sid)).toBeLessThan((await raw.time()) + 70)
    expect(await storedIn(sid)).toMatchObject({ a: 1, cookie: { originalMaxAge: 60_000 } })
  })

  test('of a session that the store has not read changes its expiry only', async () => {
    const { store } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    await store.touch(sid, sessionOf({ a: 2, b: 3 }, HOUR))
    const { cookie, ...data } = await storedIn(sid)
    expect(data).toEqual({ a: 1 })
    expect(cookie.expires).toBe(new Date(Date.now() + HOUR).toISOString())
    expect(await raw.expiration(prefix + sid)).toBeGreaterThan((await raw.time()) + 3500)
  })
})

describe.skipIf(memcached === undefined)('a session whose cookie has no expiry', () => {
  test('is renewed once per touchAfter and process', async () => {
    const sid = randomUUID()
    const [writer, reader] = [await create({ ttl: 1000 }), await create({ ttl: 1000 })]
    await writer.store.set(sid, sessionOf({ a: 1 }))
    const { value } = (await raw.get(prefix + sid)) as { value: string }

    for (const { store, wire } of [writer, reader]) {
      // The one has just written it, the other does not know how old it is.
      wire()
      await store.touch(sid, await liveOf(store, sid))
      expect(wire()).toEqual(store === writer.store ? { get: 1 } : { get: 1, replace: 1 })
      for (let i = 0; i < 3; i++) await store.touch(sid, await liveOf(store, sid))
      pass(9999)
      await store.touch(sid, await liveOf(store, sid))
      expect(wire()).toEqual({ get: 4 })
      pass(1)
      await store.touch(sid, await liveOf(store, sid))
      expect(wire()).toEqual({ get: 1, replace: 1 })
    }
    expect((await raw.get(prefix + sid))?.value).toBe(value)
    expect(await raw.expiration(prefix + sid)).toBeGreaterThanOrEqual((await raw.time()) + 1010)
  })

  test('is touched for as long as it then lives', async () => {
    const sid = randomUUID()
    const [short, long] = [await create({ ttl: 60 }), await create({ ttl: 7200 })]
    await short.store.set(sid, sessionOf({ a: 1 }))
    expect(await raw.expiration(prefix + sid)).toBeLessThan((await raw.time()) + 70)
    await long.store.touch(sid, sessionOf())
    expect(await raw.expiration(prefix + sid)).toBeGreaterThan((await raw.time()) + 7200)
  })

  test('one destroyed and made anew is not taken for the old one', async () => {
    const { store, wire } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }))
    await store.destroy(sid)
    await raw.set(prefix + sid, JSON.stringify(sessionOf({ a: 2 })))
    const live = await liveOf(store, sid)
    wire()
    await store.touch(sid, live)
    expect(wire()).toEqual({ replace: 1 })
  })

  test('what is remembered of them is bounded, and the latest stay', () => {
    const recent = new RecentKeys(3)
    for (const key of ['a', 'b', 'c', 'a', 'd']) recent.note(key)
    const known = ['a', 'b', 'c', 'd'].filter(key => recent.within(key, 1000))
    expect(known).toEqual(['a', 'c', 'd'])
    recent.forget('c')
    expect(recent.within('c', 1000)).toBe(false)
    pass(999)
    expect(recent.within('a', 1000)).toBe(true)
    pass(1)
    expect(recent.within('a', 1000)).toBe(false)
  })
})

describe.skipIf(memcached === undefined)('resave: true saves what was only read', () => {
  test.each([
    ['with an expiry', HOUR],
    ['without an expiry', undefined],
  ])('and neither clobbers nor rewrites: %s', async (_, maxAge) => {
    const { store, wire } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, maxAge))
    const [reader, writer] = [await liveOf(store, sid), await liveOf(store, sid)]
    await store.set(sid, Object.assign(writer, { b: 2 }))
    wire()
    pass(1000)
    await store.set(sid, reader.touch())
    expect(wire()).toEqual({})
    expect(await storedIn(sid)).toMatchObject({ a: 1, b: 2 })

    pass(SLACK)
    await store.set(sid, reader.touch())
    expect(await storedIn(sid)).toMatchObject({ a: 1, b: 2 })
  })

  test('past touchAfter it refreshes, with the data that are stored', async () => {
    const { store, wire } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, HOUR))
    const reader = await liveOf(store, sid)
    pass(SLACK)
    wire()
    await store.set(sid, reader.touch())
    expect(wire()).toEqual({ replace: 1 })
    expect(await storedIn(sid)).toMatchObject({
      a: 1,
      cookie: { expires: new Date(Date.now() + HOUR).toISOString() },
    })
  })

  test('does not bring back a session that was destroyed', async () => {
    const { store } = await create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, HOUR))
    const reader = await liveOf(store, sid)
    await store.destroy(sid)
    pass(SLACK)
    await store.set(sid, reader.touch())
    expect(await store.get(sid)).toBeNull()
    expect(await raw.get(prefix + sid)).toEqual({ value: ' ', flags: TOMBSTONE })
  })
})

describe.skipIf(memcached === undefined)('touch creates nothing', () => {
  const lives: [string, number | undefined][] = [
    ['with an expiry', HOUR],
    ['without an expiry', undefined],
  ]

  test.each(lives)('where there is no session, %s', async (_, maxAge) => {
    const { store } = await create()
    const sid = randomUUID()
    await store.touch(sid, sessionOf({ a: 1 }, maxAge))
    expect(await raw.get(prefix + sid)).toBeNull()
  })

  test.each(lives)('where the session that was read is gone, %s', async (_, maxAge) => {
    const { store } = await create({ touchAfter: 0 })
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, maxAge))
    const live = await liveOf(store, sid)
    await raw.delete(prefix + sid)
    await store.touch(sid, live.touch())
    expect(await raw.get(prefix + sid)).toBeNull()
  })

  test.each(lives)('where it was destroyed, %s: the tombstone stays, for its own time', async (_, maxAge) => {
    for (const ttl of [60, 86_400]) {
      const { store } = await create({ touchAfter: 0, ttl })
      const sid = randomUUID()
      await store.set(sid, sessionOf({ a: 1 }, maxAge))
      const live = await liveOf(store, sid)
      await store.destroy(sid)
      const end = await raw.expiration(prefix + sid)
      await store.touch(sid, live.touch())
      await store.touch(sid, sessionOf({ a: 1 }, maxAge))
      expect(await raw.get(prefix + sid)).toEqual({ value: ' ', flags: TOMBSTONE })
      const after = await raw.expiration(prefix + sid)
      expect(after, `ttl ${ttl}`).toBeGreaterThanOrEqual(end as number)
      expect(after, `ttl ${ttl}`).toBeLessThanOrEqual((await raw.time()) + 302)
      expect(await store.get(sid)).toBeNull()
    }
  })
})
