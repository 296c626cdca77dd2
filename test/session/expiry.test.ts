import type { SessionData } from 'express-session'
import session from 'express-session'
import fc from 'fast-check'
import { afterEach, describe, expect, inject, test, vi } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { Expiry, expiresOf } from '../../lib/session/expiry.ts'
import { expiration } from '../../lib/storage/expiration.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { fewOrMany } from '../support/few-or-many.ts'

const SECOND = 1000
const DAY = 86_400 * SECOND
const DAYS_30 = 30 * DAY
/** 2026-11-22T16:00:00.123Z */
const NOW = 1_795_363_200_123

type CookieParts = Record<string, unknown>

function withCookie(cookie: CookieParts = {}): SessionData {
  return { cookie } as unknown as SessionData
}

/** As express-session makes it, `maxAge` milliseconds from now. */
function fresh(maxAge: number): SessionData {
  const cookie = new session.Cookie()
  cookie.maxAge = maxAge
  // It reads the clock twice, and may find a millisecond gone.
  cookie.originalMaxAge = maxAge
  return { cookie }
}

function at(time: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: time })
}

afterEach(() => {
  vi.useRealTimers()
})

describe('how long a session lives', () => {
  const expiresAt = (time: number): CookieParts => ({ expires: new Date(time) })
  const table: [string, CookieParts, number][] = [
    ['ttl where the cookie says nothing', {}, 100 * SECOND],
    ['ttl where the cookie says null', { expires: null, maxAge: null, originalMaxAge: null }, 100 * SECOND],
    ['a Date', expiresAt(NOW + 1500), 1500],
    ['an ISO string, as it is stored', { expires: new Date(NOW + 1500).toISOString() }, 1500],
    ['a date as HTTP spells it', { expires: new Date(NOW + 877).toUTCString() }, 877],
    ['milliseconds of Unix time', { expires: NOW + 1500 }, 1500],
    ['a plain maxAge', { maxAge: 1500 }, 1500],
    ['expires before maxAge', { ...expiresAt(NOW + 1500), maxAge: 99 }, 1500],
    ['originalMaxAge says nothing of what is left', { originalMaxAge: 1500 }, 100 * SECOND],
    ['a fraction', { maxAge: 0.25 }, 0.25],
    ['no time at all', { maxAge: 0 }, 0],
    ['a negative maxAge', { maxAge: -1 }, -1],
    ['a date that is past', expiresAt(NOW - 5), -5],
    ['for ever', { maxAge: Infinity }, Infinity],
    ['a year', { maxAge: 365 * DAY }, 365 * DAY],
  ]
  test.each(table)('%s', (_, cookie, left) => {
    at(NOW)
    expect(new Expiry(100, undefined).of(withCookie(cookie), 'sid').left).toBe(left)
  })

  test.each([
    ['cookie.expires', { expires: new Date(Number.NaN) }],
    ['cookie.expires', { expires: 'next week' }],
    ['cookie.expires', { expires: Number.NaN }],
    ['cookie.maxAge', { maxAge: Number.NaN }],
  ])('%s that is no time is a TypeError: %o', (name, cookie) => {
    expect(() => new Expiry(100, undefined).of(withCookie(cookie), 'sid')).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(name) }),
    )
  })

  test('express-session itself makes such a date of a NaN maxAge', () => {
    expect(() => new Expiry(100, undefined).of(fresh(Number.NaN), 'sid')).toThrow(TypeError)
  })

  test('a ttl function stands above the cookie, and gets session and id', () => {
    const given: unknown[] = []
    const ttl = (...args: unknown[]): number => {
      given.push(...args)
      return 7
    }
    const stored = fresh(1500)
    expect(new Expiry(ttl, undefined).of(stored, 'sid').left).toBe(7 * SECOND)
    expect(given).toEqual([stored, 'sid'])
  })

  test.each([0, -3, 0.5, Infinity, -Infinity])('a ttl function may give %d', seconds => {
    expect(new Expiry(() => seconds, undefined).of(withCookie(), 'sid').left).toBe(seconds * SECOND)
  })

  test.each([Number.NaN, '7', null, undefined, new Date(), 7n])(
    'a ttl function that gives %o is a TypeError',
    value => {
      const expiry = new Expiry((() => value) as never, undefined)
      expect(() => expiry.of(withCookie(), 'sid')).toThrow(
        /^Expected `ttl` to return a number of seconds, got /,
      )
    },
  )

  test('what a ttl function throws is given back', () => {
    const failure = new Error('the application’s own')
    const expiry = new Expiry(() => {
      throw failure
    }, undefined)
    expect(() => expiry.of(withCookie(), 'sid')).toThrow(failure)
  })
})

describe('slack', () => {
  const dated = (originalMaxAge: number | undefined, left = originalMaxAge ?? 0): CookieParts => ({
    originalMaxAge,
    expires: new Date(NOW + left),
  })
  const table: [string, CookieParts, number | undefined, number][] = [
    ['1 % of the life', dated(60_000), undefined, 600],
    ['1 % of the whole life, however little is left', dated(60_000, 5), undefined, 600],
    ['at most 300 seconds', dated(365 * DAY, DAY), undefined, 300 * SECOND],
    ['1 % of ttl where the cookie says nothing', {}, undefined, SECOND],
    ['none for a cookie that does not say how long it lives', dated(undefined, 60_000), undefined, 0],
    ['none for a life that is over', dated(-60_000), undefined, 0],
    ['touchAfter', dated(60_000), 20, 20 * SECOND],
    ['touchAfter 0', dated(60_000), 0, 0],
    ['a fraction of touchAfter', dated(60_000), 0.5, 500],
    ['whole seconds of touchAfter where memcached alone ends it', {}, 1.5, SECOND],
    [
      'whole seconds of 1 % where memcached alone ends it',
      { maxAge: 60_000, originalMaxAge: 60_000 },
      undefined,
      0,
    ],
  ]
  test.each(table)('%s', (_, cookie, touchAfter, slack) => {
    at(NOW)
    expect(new Expiry(100, touchAfter).of(withCookie(cookie), 'sid').slack).toBe(slack)
  })

  test('what memcached alone ends outlives its whole seconds by that and a second', () => {
    const seconds = fc.integer({ min: 1, max: 30 * 86_400 })
    const touchAfter = fc.option(fc.double({ min: 0, max: 1000, noNaN: true }), { nil: undefined })
    fc.assert(
      fc.property(seconds, touchAfter, (life, after) => {
        const [undated, decided] = [new Expiry(life, after), new Expiry(() => life, after)]
        for (const [expiry, session] of [
          [undated, withCookie()],
          [decided, fresh(60_000)],
        ] as const) {
          const { left, slack } = expiry.of(session, 'sid')
          const field = expiration(left + slack)
          if (field > 30 * 86_400) return
          // Set for `field` seconds it lives for more than `field - 1` and at most `field`.
          expect(field - 1).toBeGreaterThanOrEqual(life + slack / SECOND)
          expect(field).toBeLessThanOrEqual(life + (after ?? Math.min(life / 100, 300)) + 1)
        }
      }),
    )
  })

  test('1 % in whole seconds of what a ttl function gives', () => {
    expect(new Expiry(() => 1050, undefined).of(fresh(60_000), 'sid').slack).toBe(10 * SECOND)
  })

  test('1 % of what a ttl function gives', () => {
    expect(new Expiry(() => 1000, undefined).of(fresh(60_000), 'sid').slack).toBe(10 * SECOND)
    expect(new Expiry(() => Infinity, undefined).of(fresh(60_000), 'sid').slack).toBe(300 * SECOND)
    expect(new Expiry(() => -1, undefined).of(fresh(60_000), 'sid').slack).toBe(0)
  })
})

describe('judge', () => {
  const stored = (end: number, originalMaxAge?: number): SessionData =>
    withCookie({ expires: new Date(end).toISOString(), originalMaxAge })

  test.each([
    ['without slack', stored(NOW + 5000), undefined, NOW + 5000],
    ['with 1 % of its life', stored(NOW + 5000, 5000), undefined, NOW + 5050],
    ['with touchAfter', stored(NOW + 5000, 5000), 3, NOW + 8000],
    ['with touchAfter 0', stored(NOW + 5000, 5000), 0, NOW + 5000],
    ['a Date', withCookie({ expires: new Date(NOW + 5000) }), undefined, NOW + 5000],
    ['a number', withCookie({ expires: NOW + 5000 }), undefined, NOW + 5000],
    ['a date with another offset', withCookie({ expires: '2026-11-22T18:00:05.000+02:00' }), 0, NOW + 4877],
    [
      'a date beyond the year 9999',
      withCookie({ expires: '+010000-01-01T00:00:00.000Z' }),
      0,
      253402300800000,
    ],
  ])('to the millisecond: %s', (_, session, touchAfter, end) => {
    const expiry = new Expiry(100, touchAfter)
    for (const early of [5000, 1001, 1000, 999, 2, 1]) {
      at(end - early)
      expect(expiry.judge(session), `${early} ms before`).toBe('alive')
    }
    for (const late of [0, 1, 1000, DAY]) {
      at(end + late)
      expect(expiry.judge(session), `${late} ms after`).toBe('over')
    }
    // A clock that is set back.
    at(end - 1)
    expect(expiry.judge(session)).toBe('alive')
  })

  test('says the same as the date does, whatever it was asked before', () => {
    const dates = fc.array(fc.tuple(fc.integer({ min: -5000, max: 5000 }), fc.integer({ min: 0, max: 3000 })))
    fc.assert(
      fc.property(dates, asked => {
        const expiry = new Expiry(100, 0)
        let now = NOW
        for (const [ahead, pause] of asked) {
          now += pause
          at(now)
          expect(expiry.judge(stored(now + ahead))).toBe(ahead <= 0 ? 'over' : 'alive')
        }
      }),
    )
  })

  test('never, where the cookie has no date', () => {
    for (const cookie of [{}, { expires: null, originalMaxAge: null }, { maxAge: 5 }]) {
      expect(new Expiry(100, 0).judge(withCookie(cookie))).toBe('alive')
    }
  })

  test('takes a date of this form for one where JavaScript does', () => {
    const digits = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 17, maxLength: 17 })
    const any = digits.map(d => {
      const at = [...d]
      return '####-##-##T##:##:##.###Z'.replace(/#/g, () => String(at.pop()))
    })
    const near = fc.date({ min: new Date(NOW), max: new Date('9999-12-31'), noInvalidDate: true })
    const spoiled = fc
      .tuple(near, fc.nat(23), fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 1 }))
      .map(([date, index, character]) => {
        const iso = date.toISOString()
        return iso.slice(0, index) + character + iso.slice(index + 1)
      })
    at(NOW)
    const expiry = new Expiry(100, 0)
    fc.assert(
      fc.property(fc.oneof(any, spoiled), expires => {
        const time = Date.parse(expires)
        const verdict = Number.isNaN(time) ? 'invalid' : time <= NOW ? 'over' : 'alive'
        expect(expiry.judge(withCookie({ expires })), expires).toBe(verdict)
      }),
      { numRuns: fewOrMany(1000, 5000) },
    )
  })

  test.each([Number.NaN, Infinity, -Infinity, -1, 1e300, '5000', true, {}])(
    'a cookie with an originalMaxAge of %o is invalid, and is not written',
    originalMaxAge => {
      at(NOW)
      const expiry = new Expiry(100, undefined)
      const spoiled = withCookie({ originalMaxAge, expires: new Date(NOW + 5000) })
      expect(expiry.judge(spoiled)).toBe('invalid')
      expect(() => expiry.of(spoiled, 'sid')).toThrow(/^Expected `session.cookie` .*`originalMaxAge`/)
    },
  )

  test('a life that is over needs no good cookie: it is destroyed', () => {
    at(NOW)
    const ended = withCookie({ originalMaxAge: -1, expires: new Date(NOW - 1) })
    expect(new Expiry(100, undefined).of(ended, 'sid').left).toBe(-1)
    // It may be the browser alone that is to forget.
    expect(new Expiry(() => 60, undefined).of(ended, 'sid').left).toBe(60 * SECOND)
    expect(new Expiry(() => 60, undefined).judge(ended)).toBe('alive')
  })

  test('memcached alone decides where ttl is a function', () => {
    at(NOW)
    expect(new Expiry(() => 1000, 0).judge(stored(NOW - 1))).toBe('alive')
  })

  test('a date that is none', () => {
    const spelled = [
      '9999-99-99T99:99:99.999Z',
      '2099-00-01T00:00:00.000Z',
      '2099-13-01T00:00:00.000Z',
      '2099-01-00T00:00:00.000Z',
      '2099-01-32T00:00:00.000Z',
      '2099-01-01T25:00:00.000Z',
      '2099-01-01T00:60:00.000Z',
      '2099-01-01T00:00:60.000Z',
      '2099-01-01T00:00:0a.000Z',
      '2099_01-01T00:00:00.000Z',
      'a099-01-01T00:00:00.000Z',
    ]
    for (const ttl of [100, () => 100]) {
      for (const expires of ['next week', '', Number.NaN, new Date(Number.NaN), ...spelled]) {
        expect(new Expiry(ttl, 0).judge(withCookie({ expires }))).toBe('invalid')
      }
    }
  })
})

test('expiresOf', () => {
  const of = (expires: unknown): number | undefined => expiresOf({ expires } as never)
  expect(of(new Date(NOW))).toBe(NOW)
  expect(of(new Date(NOW).toISOString())).toBe(NOW)
  expect(of(NOW)).toBe(NOW)
  expect(of('never')).toBeNaN()
  for (const nothing of [undefined, null, false, true, {}]) expect(of(nothing)).toBeUndefined()
})

const memcached: string | undefined = inject('memcached')?.split(',')[0]

describe.skipIf(memcached === undefined)('memcached keeps an item for its life and not much more', () => {
  const prefix = `expiry-${process.pid}-${Date.now()}:`

  test.each([
    ['a moment', 1],
    ['a second', SECOND],
    ['1.999 seconds', 1999],
    ['an hour', 3600 * SECOND],
    ['30 days less 2 seconds', DAYS_30 - 2 * SECOND],
    ['30 days less 1 second', DAYS_30 - SECOND],
    ['30 days', DAYS_30],
    ['30 days and 1 second', DAYS_30 + SECOND],
    ['31 days', 31 * DAY],
    ['a year', 365 * DAY],
    ['50 years', 50 * 365 * DAY],
  ])('%s', async (what, life) => {
    const raw = new RawMemcached(memcached as string)
    await using store = new MemcachedStore({ servers: memcached, prefix, touchAfter: 0 })
    const sid = what.replaceAll(' ', '-')
    const before = await raw.time()
    await store.set(sid, withCookie({ maxAge: life }))
    // Lives so short may be over before they are seen.
    const end = await raw.expiration(prefix + sid)
    const after = await raw.time()
    if (end === undefined && life < 2 * SECOND) {
      expect((after - before) * SECOND).toBeGreaterThanOrEqual(life)
      return
    }
    // By the server's clock, and a second since it is ahead or behind ours by a part of one.
    expect(end).toBeGreaterThanOrEqual(before + life / SECOND)
    expect(end).toBeLessThanOrEqual(after + life / SECOND + 4)
  })

  test('for ever, where 32 bits are not enough', async () => {
    const raw = new RawMemcached(memcached as string)
    await using store = new MemcachedStore({ servers: memcached, prefix, ttl: Infinity })
    await store.set('forever', withCookie())
    expect(await raw.expiration(`${prefix}forever`)).toBe(Infinity)
    await store.set('century', withCookie({ maxAge: 200 * 365 * DAY }))
    expect(await raw.expiration(`${prefix}century`)).toBe(Infinity)
  })

  test('and touchAfter longer, so that no session dies early', async () => {
    const raw = new RawMemcached(memcached as string)
    await using store = new MemcachedStore({ servers: memcached, prefix, touchAfter: 100 })
    const before = await raw.time()
    await store.set('late', fresh(3600 * SECOND))
    const end = await raw.expiration(`${prefix}late`)
    const after = await raw.time()
    expect(end).toBeGreaterThanOrEqual(before + 3700)
    expect(end).toBeLessThanOrEqual(after + 3704)
  })

  test('a life that is over destroys', async () => {
    await using store = new MemcachedStore({ servers: memcached, prefix })
    for (const maxAge of [0, -1, -Infinity]) {
      await store.set('over', fresh(60_000))
      await store.set('over', withCookie({ maxAge }))
      expect(await store.get('over'), `maxAge ${maxAge}`).toBeNull()
      await store.set('over', fresh(60_000))
      await store.touch('over', withCookie({ maxAge }))
      expect(await store.get('over'), `maxAge ${maxAge}`).toBeNull()
    }
  })
})
