import { Cookie, type SessionData } from 'express-session'
import { describe, expect, test } from 'vitest'
import { BackingStore } from '../../lib/backing/backing-store.ts'
import { SessionShelf } from '../../lib/backing/session-shelf.ts'
import { Codec } from '../../lib/session/codec.ts'
import { Expiry } from '../../lib/session/expiry.ts'
import { sessionOf } from '../contract/calls.ts'

type Callback = (error?: unknown, value?: unknown) => void

const HOUR = 3_600_000
// The types leave out what it takes.
const LiveCookie = Cookie as unknown as new (options: object) => SessionData['cookie']
const ignore = (): void => {}

/** A shelf in a store with these methods, which tells what was called of it. */
function create(methods: Record<string, (...args: never[]) => unknown>, { isDated = true } = {}) {
  const calls: [name: string, sid: unknown, session: unknown][] = []
  const note =
    (name: string) =>
    (sid: string, one: unknown, done: Callback): void => {
      calls.push([name, sid, one])
      done()
    }
  const store = { get: ignore, set: note('set'), touch: note('touch'), destroy: ignore, ...methods }
  const counts = { refills: 0, backingWrites: 0, backingFailures: 0 }
  const shelf = new SessionShelf(
    new BackingStore(store as never, 60_000, counts),
    new Codec(JSON),
    new Expiry(86_400, undefined),
    { isDated, isOther: id => id.startsWith('@'), patience: 1000 },
  )
  return { shelf, calls }
}

function lasting(left: number, life: number | null = HOUR): SessionData {
  const one = sessionOf({ user: 'ada' })
  Object.assign(one.cookie, { expires: new Date(Date.now() + left), originalMaxAge: life })
  return one
}

describe('what a store gives', () => {
  test.each<[string, unknown]>([
    ['a text', 'text'],
    ['an object without a cookie', { user: 'ada' }],
    ['a session that no text can hold', { ...sessionOf({}), count: 1n }],
  ])('is no session: %s', async (_, given) => {
    const { shelf } = create({ get: async () => given })
    expect(await shelf.get('a')).toEqual({ text: null, milliseconds: 0 })
  })

  test('is good for memcached until the date of its cookie, and no later', async () => {
    const { shelf } = create({ get: async () => lasting(HOUR) })
    const found = await shelf.get('a')
    expect(found?.milliseconds).toBeGreaterThan(HOUR / 2)
    // Rounded up by memcached, and by a clock that is a second ahead.
    const slack = HOUR / 100
    expect(found?.milliseconds).toBeLessThanOrEqual(HOUR + slack - 3000)
    expect(JSON.parse(found?.text as string)).toMatchObject({ user: 'ada' })
  })

  test('has a later date where its own is over: the store says that it lives', async () => {
    const real = new LiveCookie({ originalMaxAge: HOUR })
    for (const cookie of [lasting(-HOUR).cookie, Object.assign(real, { expires: new Date(0) })]) {
      Object.assign(cookie, { originalMaxAge: HOUR })
      const { shelf } = create({ get: async () => ({ cookie, user: 'ada' }) })
      const found = await shelf.get('a')
      expect(found?.milliseconds).toBe(0)
      const { expires, originalMaxAge, ...rest } = JSON.parse(found?.text as string).cookie
      expect(Date.parse(expires)).toBeGreaterThan(Date.now() + HOUR / 2)
      expect(originalMaxAge).toBe(HOUR)
      // What express-session itself keeps it in.
      expect(rest).not.toHaveProperty('_expires')
    }
  })

  test('keeps its date where that is over, and it has no life to renew it by', async () => {
    const over = lasting(-HOUR, null)
    const date = over.cookie.expires?.toJSON()
    const { shelf } = create({ get: async () => over })
    const found = await shelf.get('a')
    expect(JSON.parse(found?.text as string).cookie.expires).toBe(date)
  })

  test('where lives come from a function, the date of its cookie says nothing', async () => {
    const over = lasting(-HOUR)
    const date = over.cookie.expires?.toJSON()
    const { shelf } = create({ get: async () => over }, { isDated: false })
    const found = await shelf.get('a')
    expect(JSON.parse(found?.text as string).cookie.expires).toBe(date)
  })
})

describe('what is put there', () => {
  const textOf = (one: SessionData): string => JSON.stringify(one)

  test('is only touched where the same lies there for a while', async () => {
    const { shelf, calls } = create({})
    await shelf.put('a', textOf(lasting(HOUR)), textOf(lasting(HOUR / 2)), ignore)
    expect(calls.map(([name]) => name)).toEqual(['touch'])
  })

  test.each<[string, string | null]>([
    ['nothing lies there', null],
    ['what lies there is over', textOf(lasting(-1000))],
    ['what lies there ends before a call arrives', textOf(lasting(500))],
    ['what lies there has no date', textOf(sessionOf({ user: 'ada' }))],
    ['what lies there is no session', 'text'],
  ])('is set where %s', async (_, refreshed) => {
    const { shelf, calls } = create({})
    await shelf.put('a', textOf(lasting(HOUR)), refreshed, ignore)
    expect(calls).toEqual([['set', 'a', expect.objectContaining({ user: 'ada' })]])
  })

  test('is nothing that would not be read', async () => {
    const { shelf, calls } = create({})
    await shelf.put('a', 'text', null, ignore)
    expect(calls).toEqual([])
  })

  test('is a refresh where the date alone differs, and its life does not', () => {
    const { shelf } = create({})
    const before = textOf(lasting(HOUR))
    expect(shelf.isRefresh(before, textOf(lasting(2 * HOUR)))).toBe(true)
    expect(shelf.isRefresh(before, textOf(lasting(HOUR, 2 * HOUR)))).toBe(false)
    expect(shelf.isRefresh(before, textOf({ ...lasting(HOUR), user: 'bob' } as never))).toBe(false)
    expect(shelf.isRefresh('text', 'text')).toBe(false)
  })

  test('is up to date where it is what is stored, or a refresh of that', () => {
    const { shelf } = create({})
    const stored = textOf(lasting(HOUR))
    expect(shelf.isUpToDate(stored, stored)).toBe(true)
    expect(shelf.isUpToDate(textOf(lasting(2 * HOUR)), stored)).toBe(true)
    expect(shelf.isUpToDate(textOf(lasting(HOUR / 2)), stored)).toBe(false)
    expect(shelf.isUpToDate(textOf(lasting(2 * HOUR, 2 * HOUR)), stored)).toBe(false)
    expect(shelf.isUpToDate(textOf({ ...lasting(2 * HOUR), user: 'bob' } as never), stored)).toBe(false)
  })
})

describe('a list', () => {
  const [one, other] = [sessionOf({ user: 'ada' }), sessionOf({ user: 'bob' })]
  const users = (listed: Awaited<ReturnType<SessionShelf['list']>>): unknown =>
    listed?.map(([sid, { text }]) => [sid, JSON.parse(text as string).user])

  test('of ids is asked for alone, without those of anything else', async () => {
    const { shelf } = create({
      ids: async () => ['a', '@index', 'b'],
      all: () => {
        throw new Error('Nobody asks for all')
      },
    })
    const alive: string[] = []
    expect(await shelf.list(sid => alive.push(sid))).toEqual([])
    expect(alive).toEqual(['a', 'b'])
  })

  test.each<[string, unknown, unknown]>([
    [
      'sessions by id',
      { a: one, '@index': one, b: other },
      [
        ['a', 'ada'],
        ['b', 'bob'],
      ],
    ],
    [
      'a list of those with ids',
      [
        { id: 'a', ...one },
        { id: '@index', ...one },
      ],
      [['a', 'ada']],
    ],
    ['a list of those without', [one, other], undefined],
    ['an empty list', [], []],
    ['nothing', undefined, []],
  ])('is made of %s', async (_, all, listed) => {
    const { shelf } = create({ all: (done: Callback) => done(null, all) })
    expect(users(await shelf.list())).toEqual(listed)
  })

  test('is none of a store that lists nothing', async () => {
    expect(await create({}).shelf.list(ignore)).toBeNull()
  })
})
