import { randomUUID } from 'node:crypto'
import type { Session, SessionData } from 'express-session'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../lib/index.ts'
import { Keys } from '../lib/storage/keys.ts'
import { TOMBSTONE } from '../lib/storage/stored-form.ts'
import { type Data, sessionOf } from './contract/calls.ts'
import { RawMemcached } from './contract/raw-memcached.ts'
import { fewOrMany } from './support/few-or-many.ts'
import { hasMemcached, Memcached } from './support/memcached.ts'
import { TcpProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

const memcached: string | undefined = inject('memcached')?.split(',')[0]
const prefix = `bad-${randomUUID()}:`
const keys = new Keys(prefix)

function create(options: MemcachedStoreOptions = {}): MemcachedStore {
  const store = new MemcachedStore({ servers: memcached, prefix, ...options })
  onTestFinished(() => store.close())
  return store
}

/** The ids of `corrupt` events, as they come. */
function corruptOf(store: MemcachedStore): string[] {
  const sids: string[] = []
  store.on('corrupt', sid => sids.push(sid))
  return sids
}

/** What express-session makes of a session that is got. */
async function liveOf(store: MemcachedStore, sid: string): Promise<Session & Data> {
  const req = { sessionID: sid, sessionStore: store } as never
  return store.createSession(req, (await store.get(sid)) as SessionData) as Session & Data
}

const SIDS: [string, string][] = [
  ['empty', ''],
  ['a byte longer than a key', 'a'.repeat(251 - prefix.length)],
  ['very long', 'a'.repeat(10_000)],
  ['with a space', 'a b'],
  ['a space', ' '],
  ['with line ends', 'a\r\nflush_all\r\n'],
  ['with NUL', 'a\0b'],
  ['every control character', String.fromCharCode(...Array(32).keys(), 0x7f)],
  ['of other scripts', 'Zoë 🦜 漢字'],
  ['half a character', '\ud83e'],
  ['like a hash of ours', `#${'a'.repeat(43)}`],
]

describe.skipIf(memcached === undefined)('an id that cannot be a key', () => {
  const raw = new RawMemcached(memcached ?? ':')

  test.each(SIDS)('%s: is stored under a hash, and everything works', async (_, sid) => {
    const store = create({ touchAfter: 0 })
    const corrupt = corruptOf(store)
    await store.destroy(sid)
    expect(await store.get(sid)).toBeNull()

    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const key = keys.of(sid)
    expect(key).toMatch(/^[\x21-\x7e]{1,250}$/)
    expect(key).toContain(`${prefix}#`)
    expect((await raw.get(key))?.value).toContain('"a":1')
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    expect([...(await store.getMany([sid, 'another']))]).toMatchObject([[sid, { a: 1 }]])

    const read = await liveOf(store, sid)
    expect(read.id).toBe(sid)
    await store.set(sid, Object.assign(read, { b: 2 }))
    expect(await store.update(sid, session => void Object.assign(session, { c: 3 }))).toMatchObject({ c: 3 })
    await store.set(sid, Object.assign(read, { d: 4 }))
    expect(await store.get(sid)).toMatchObject({ a: 1, b: 2, c: 3, d: 4 })

    // A touch of one that was read, and of one that was not.
    const touched = await liveOf(store, sid)
    touched.cookie.maxAge = 7_200_000
    await store.touch(sid, touched)
    const before = await raw.expiration(key)
    expect(before).toBeGreaterThan((await raw.time()) + 7000)
    await store.touch(sid, sessionOf({ lost: true }, 36_000_000))
    expect(await raw.expiration(key)).toBeGreaterThan((await raw.time()) + 35_000)
    expect(await store.get(sid)).toMatchObject({ d: 4, cookie: { originalMaxAge: 36_000_000 } })
    expect(await store.get(sid)).not.toHaveProperty('lost')

    const late = await liveOf(store, sid)
    await store.destroy(sid)
    await store.set(sid, Object.assign(late, { late: true }))
    expect(await store.get(sid)).toBeNull()
    expect(await raw.get(key)).toEqual({ value: ' ', flags: TOMBSTONE })
    expect(corrupt).toEqual([])
  })

  test('a session without an expiry is touched under its hash, too', async () => {
    const store = create()
    const other = create()
    const sid = 'dateless id'
    await store.set(sid, sessionOf({ a: 1 }))
    await other.touch(sid, sessionOf({ a: 1 }))
    expect(await store.get(sid)).toMatchObject({ a: 1 })
  })

  test.each([0, 511, 512, 600])(
    'one of many that is no id at all, at %d: a TypeError, and nothing is read',
    async at => {
      await using proxy = await TcpProxy.start(memcached ?? '')
      const store = create({ servers: proxy.address })
      const sids: unknown[] = Array.from({ length: 700 }, (_, sid) => String(sid))
      await store.getMany(sids as string[])
      proxy.requests.clear()
      for (const bad of [undefined, null, 7, {}]) {
        sids[at] = bad
        await expect(store.getMany(sids as string[])).rejects.toThrow(
          /^Expected `sids` to hold strings, got /,
        )
        const calls: unknown[] = []
        store.getMany(sids as string[], error => calls.push(error))
        await until(() => calls.length > 0)
        await store.get('another')
        expect(calls).toEqual([expect.any(TypeError)])
      }
      expect(proxy.count()).toBe(4)
    },
  )

  test('does not disturb other sessions on the connection', async () => {
    const store = create()
    const good = Array.from({ length: 50 }, () => randomUUID())
    const all = good.flatMap((sid, i) => [sid, SIDS[i % SIDS.length]?.[1] as string])
    await Promise.all(all.map(sid => store.set(sid, sessionOf({ sid }))))
    const found = await store.getMany(all)
    for (const sid of all) expect(found.get(sid)).toMatchObject({ sid })
  })
})

const NO_SESSIONS: [string, string, number?][] = [
  ['nothing', ''],
  ['an empty object', '{}'],
  ['broken JSON', '{"cookie":{"path":"/"'],
  ['a number', '17'],
  ['an array', '[]'],
  ['null', 'null'],
  ['a text', '"cookie"'],
  ['a cookie that is none', '{"cookie":"/"}'],
  ['bytes', '\u0000\u0001\ufffd'],
  ['a pickle of Python', '(dp0\nVcookie\n', 1],
  ['an integer of another client', '17', 2],
  ['something compressed', 'x\u009cK', 16],
  ['flags of a release to come', 'gibberish', 0x0008_0000],
  ['a name and no session', '"a"\n{}', 0x0002_0000],
  ['a name without a text', '"a"', 0x0002_0000],
  ['no name where one is due', '{"cookie":{}}', 0x0002_0000],
]

describe.skipIf(memcached === undefined)('a stored value that is no session', () => {
  const raw = new RawMemcached(memcached ?? ':')

  test.each(NO_SESSIONS)('%s', async (_, value, flags = 0) => {
    const store = create({ touchAfter: 0 })
    const corrupt = corruptOf(store)
    const sid = randomUUID()
    const key = prefix + sid
    expect(await raw.set(key, value, flags)).toBe('STORED')

    expect(await store.get(sid)).toBeNull()
    await until(() => corrupt.length === 1)
    expect((await store.getMany([sid])).size).toBe(0)
    expect(await store.update(sid, () => expect.unreachable())).toBeNull()
    await until(() => corrupt.length === 3)
    expect(new Set(corrupt)).toEqual(new Set([sid]))

    await store.touch(sid, sessionOf({}, 60_000))
    await store.touch(sid, sessionOf())
    expect(await raw.get(key), 'a touch leaves it alone').toEqual({ value, flags })

    await store.set(sid, sessionOf({ a: 1 }))
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    expect((await raw.get(key))?.flags).toBe(0)
  })

  test.each(NO_SESSIONS)(
    '%s, found when a request saves what it read before',
    async (_, value, flags = 0) => {
      const store = create()
      const sid = randomUUID()
      await store.set(sid, sessionOf({ a: 1 }))
      const read = await liveOf(store, sid)
      await raw.set(prefix + sid, value, flags)
      await store.set(sid, Object.assign(read, { b: 2 }))
      expect(await store.get(sid)).toMatchObject({ a: 1, b: 2 })
    },
  )

  // express-session could neither send such a cookie nor save the session: the visitor would be stuck.
  test.each([undefined, () => 60])('a session whose date is none, with a ttl of %s', async ttl => {
    const store = create({ ttl })
    const corrupt = corruptOf(store)
    const sid = randomUUID()
    await raw.set(prefix + sid, '{"cookie":{"path":"/","expires":"tomorrow"},"a":1}')
    expect(await store.get(sid)).toBeNull()
    expect(await store.update(sid, () => expect.unreachable())).toBeNull()
    await until(() => corrupt.length === 2)
    await store.set(sid, sessionOf({ a: 2 }))
    expect(await store.get(sid)).toMatchObject({ a: 2 })
  })

  test('can be destroyed', async () => {
    const store = create()
    const sid = randomUUID()
    await raw.set(prefix + sid, '17')
    await store.destroy(sid)
    expect(await raw.get(prefix + sid)).toEqual({ value: ' ', flags: TOMBSTONE })
  })

  test('is no error where nobody listens', async () => {
    const store = create()
    const sid = randomUUID()
    await raw.set(prefix + sid, '17')
    expect(await store.get(sid)).toBeNull()
  })
})

describe.skipIf(memcached === undefined)('a session that cannot be serialized', () => {
  const cycle = (data: Data): Data => Object.assign(data, { self: data })
  const bigint = (data: Data): Data => Object.assign(data, { n: 1n })
  const throwing = (data: Data): Data => {
    const toJSON = (): never => {
      throw new RangeError('the application’s own')
    }
    return Object.assign(data, { toJSON })
  }
  const nothing = (data: Data): Data => Object.assign(data, { toJSON: () => undefined })
  const cookieless = (data: Data): Data => Object.assign(data, { toJSON: () => ({ a: 2 }) })
  const deep = (data: Data): Data => {
    const levels = 100_000
    return Object.assign(data, { deep: JSON.parse('['.repeat(levels) + ']'.repeat(levels)) })
  }

  test.each([
    ['a cycle', cycle, TypeError],
    ['a BigInt', bigint, TypeError],
    ['a toJSON that throws', throwing, RangeError],
    ['a toJSON that gives nothing', nothing, TypeError],
    ['a toJSON that drops the cookie', cookieless, TypeError],
    ['100,000 levels', deep, TypeError],
  ])('%s: an error, and the old value stays', async (_, spoil, type) => {
    const store = create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }))
    for (const session of [sessionOf(), await liveOf(store, sid), (await store.get(sid)) as Data]) {
      await expect(store.set(sid, spoil(session))).rejects.toThrow(type)
      await expect(store.update(sid, () => spoil(sessionOf()))).rejects.toThrow(type)
      expect(await store.get(sid)).toMatchObject({ a: 1 })
    }
  })

  test.each([undefined, null, 1, 'a', [], {}, { cookie: null }, { cookie: '/' }])(
    '%j is no session: a TypeError, and the old value stays',
    async session => {
      const store = create()
      const sid = randomUUID()
      await store.set(sid, sessionOf({ a: 1 }))
      await expect(store.set(sid, session as never)).rejects.toThrow(TypeError)
      await expect(store.touch(sid, session as never)).rejects.toThrow(TypeError)
      expect(await store.get(sid)).toMatchObject({ a: 1 })
    },
  )

  test.each([
    ['an invalid date', { expires: new Date(Number.NaN) }],
    ['NaN for maxAge', { maxAge: Number.NaN }],
    ['NaN for originalMaxAge', { originalMaxAge: Number.NaN, expires: new Date(Date.now() + 60_000) }],
    ['Infinity for originalMaxAge', { originalMaxAge: Infinity }],
    ['text for originalMaxAge', { originalMaxAge: '5000' }],
    ['a path that cannot be sent', { path: '/ü' }],
  ])('%s in the cookie: a TypeError, and the old value stays', async (_, cookie) => {
    const store = create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }))
    await expect(store.set(sid, { cookie } as never)).rejects.toThrow(TypeError)
    await expect(store.touch(sid, { cookie } as never)).rejects.toThrow(TypeError)
    expect(await store.get(sid)).toMatchObject({ a: 1 })
  })

  test('no message shows an id', async () => {
    const store = create({ ttl: () => Number.NaN })
    const sid = randomUUID()
    for (const session of [bigint(sessionOf()), sessionOf(), {}]) {
      await expect(store.set(sid, session as never)).rejects.toThrow(
        expect.objectContaining({ message: expect.not.stringContaining(sid) }),
      )
    }
  })
})

describe.skipIf(!hasMemcached)('a session that is too large', () => {
  const KIB = 1024
  const LIMIT = 512 * KIB
  let server: Memcached
  let raw: RawMemcached
  beforeAll(async () => {
    server = await Memcached.start('-I', String(LIMIT))
    raw = new RawMemcached(server.address)
  })
  afterAll(() => server.kill())

  const large = (bytes: number, character = 'x'): string =>
    character.repeat(Math.ceil(bytes / Buffer.byteLength(character)))
  const fits = (store: MemcachedStore, sid: string, session: Data): Promise<boolean> =>
    store.set(sid, session).then(
      () => true,
      error => {
        expect(error.code).toBe('ERR_TOO_LARGE')
        return false
      },
    )

  test.each(['x', 'é', '漢', '🦜'])(
    'of “%s”: refused with both sizes, the old value stays',
    async character => {
      await using proxy = await TcpProxy.start(server.address)
      const store = create({ servers: proxy.address, maxItemSize: LIMIT })
      const sid = randomUUID()
      await store.set(sid, sessionOf({ a: 1 }))
      const sent = proxy.count()
      const text = large(LIMIT, character)
      const size = Buffer.byteLength(JSON.stringify(sessionOf({ text })))
      const refusal = {
        code: 'ERR_TOO_LARGE',
        message: expect.stringMatching(new RegExp(`\\b${size}\\b.*\\b${LIMIT}\\b`)),
      }
      await expect(store.set(sid, sessionOf({ text }))).rejects.toMatchObject(refusal)
      expect(proxy.count(), 'nothing is sent').toBe(sent)
      expect(await store.get(sid)).toMatchObject({ a: 1 })

      const read = await liveOf(store, sid)
      await expect(store.set(sid, Object.assign(read, { text }))).rejects.toMatchObject({
        code: 'ERR_TOO_LARGE',
      })
      const growing = store.update(sid, session => void Object.assign(session, { text }))
      await expect(growing).rejects.toMatchObject({ code: 'ERR_TOO_LARGE' })
      expect(await store.get(sid)).toMatchObject({ a: 1 })
      expect(await store.get(sid)).not.toHaveProperty('text')

      // Smaller again, the same request's session can be saved.
      await store.set(sid, Object.assign(read, { text: 'short' }))
      expect(await store.get(sid)).toMatchObject({ a: 1, text: 'short' })
    },
  )

  test.each([
    ['a plain id', 'sid-of-a-session'],
    ['a hashed id', 'id of a session'],
    ['a long id', 'a'.repeat(200)],
  ])('to the byte, with %s: what we accept the server accepts, what it refuses we refuse', async (_, sid) => {
    for (const limit of fewOrMany([LIMIT, KIB * KIB], [LIMIT, KIB * KIB, 2 * KIB * KIB])) {
      await using other = await Memcached.start('-I', String(limit))
      const store = create({ servers: other.address, maxItemSize: limit })
      const near = new RawMemcached(other.address)
      let [good, bad] = [limit / 2, limit]
      while (bad - good > 1) {
        const middle = Math.floor((good + bad) / 2)
        if (await fits(store, sid, sessionOf({ text: large(middle) }))) good = middle
        else bad = middle
      }
      await store.set(sid, sessionOf({ text: large(good) }))
      expect(await store.get(sid)).toMatchObject({ text: large(good) })
      await expect(store.set(sid, sessionOf({ text: large(bad) }))).rejects.toThrow(`maxItemSize\` ${limit}`)
      expect(await store.get(sid), 'the old value').toMatchObject({ text: large(good) })

      // The server itself takes no more than a few bytes more.
      const key = keys.of(sid)
      const { value, flags } = (await near.get(key)) as { value: string; flags: number }
      expect(await near.set(key, `${value}${large(8)}`, flags)).toMatch(/too large/)
    }
  })

  test('when a merge makes it so: an error, and what the other request saved stays', async () => {
    const store = create({ servers: server.address, maxItemSize: LIMIT })
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }))
    const [mine, theirs] = [await liveOf(store, sid), await liveOf(store, sid)]
    await store.set(sid, Object.assign(theirs, { theirs: large(0.6 * LIMIT) }))
    const saved = store.set(sid, Object.assign(mine, { mine: large(0.6 * LIMIT) }))
    await expect(saved).rejects.toMatchObject({ code: 'ERR_TOO_LARGE' })
    expect(await store.get(sid)).toMatchObject({ a: 1, theirs: large(0.6 * LIMIT) })
  })

  test('for a server whose -I is below the option: an error, and a session that was read stays', async () => {
    const store = create({ servers: server.address, maxItemSize: 2 * LIMIT })
    const sid = randomUUID()
    const text = large(1.5 * LIMIT)
    await store.set(sid, sessionOf({ a: 1 }))
    const refusal = { code: 'ERR_TOO_LARGE', message: expect.stringMatching(/-I.*`maxItemSize`/) }
    const read = await liveOf(store, sid)
    await expect(store.set(sid, Object.assign(read, { text }))).rejects.toMatchObject(refusal)
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    const growing = store.update(sid, session => void Object.assign(session, { text }))
    await expect(growing).rejects.toMatchObject(refusal)
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    expect(await raw.get(prefix + sid)).not.toBeNull()
    // A session that was not read is written without a condition: memcached then drops the old one.
    await expect(store.set(sid, sessionOf({ text }))).rejects.toMatchObject(refusal)
    await store.set(sid, sessionOf({ a: 2 }))
    expect(await store.get(sid)).toMatchObject({ a: 2 })
  })
})
