import session, { type SessionData } from 'express-session'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { lifeChanged, mergeCookies } from '../../lib/session/cookie.ts'
import { expiresOf } from '../../lib/session/expiry.ts'

type Cookie = SessionData['cookie']

/** 2026-11-22T16:00:00.000Z */
const NOW = 1_795_363_200_000
const MINUTE = 60_000

function cookieOf(parts: Record<string, unknown>): Cookie {
  return parts as unknown as Cookie
}

function iso(time: number): string {
  return new Date(time).toISOString()
}

/** As it is stored: a life of so many milliseconds, refreshed then. */
function lasting(maxAge: number, refreshedAt: number, more: Record<string, unknown> = {}): Cookie {
  return cookieOf({ originalMaxAge: maxAge, expires: iso(refreshedAt + maxAge), path: '/', ...more })
}

const browserSession = cookieOf({ originalMaxAge: null, expires: null, path: '/' })

afterEach(() => {
  vi.restoreAllMocks()
})

describe('a cookie’s life', () => {
  const day = lasting(1440 * MINUTE, NOW)
  test.each([
    ['is the same', false, day, day],
    ['is the same when refreshed', false, day, lasting(1440 * MINUTE, NOW + MINUTE)],
    ['is the same when refreshed again and again', false, day, lasting(1440 * MINUTE - 7, NOW + MINUTE)],
    ['is the same without a date', false, browserSession, browserSession],
    ['is the same without a date, said differently', false, browserSession, cookieOf({})],
    ['is the same with a Date', false, day, cookieOf({ ...day, expires: new Date(NOW) })],
    ['changed with `maxAge`', true, day, lasting(60 * MINUTE, NOW)],
    [
      'changed with `expires`, though it ends when it did',
      true,
      day,
      lasting(1380 * MINUTE, NOW + 60 * MINUTE),
    ],
    ['changed from none', true, browserSession, day],
    ['changed to none', true, day, browserSession],
    ['changed by date alone', true, cookieOf({ expires: iso(NOW) }), cookieOf({ expires: iso(NOW + 1) })],
    [
      'is the same by date alone',
      false,
      cookieOf({ expires: iso(NOW) }),
      cookieOf({ expires: new Date(NOW) }),
    ],
    ['is the same by a date that is none', false, cookieOf({ expires: 'a' }), cookieOf({ expires: 'b' })],
  ])('%s', (_, changed, before, after) => {
    expect(lifeChanged(before, after)).toBe(changed)
    expect(lifeChanged(after, before)).toBe(changed)
  })

  test('is not changed by express-session’s own refreshing', () => {
    let now = NOW
    vi.spyOn(Date, 'now').mockImplementation(() => now++)
    const cookie = new session.Cookie()
    cookie.maxAge = MINUTE
    const before = cookieOf(JSON.parse(JSON.stringify(cookie)))
    for (let request = 0; request < 3; request++) cookie.maxAge = cookie.originalMaxAge as number
    expect(cookie.originalMaxAge).toBeLessThan(before.originalMaxAge as number)
    expect(lifeChanged(before, cookie)).toBe(false)
  })
})

describe('merging cookies', () => {
  const base = lasting(10 * MINUTE, NOW)
  const refreshed = lasting(10 * MINUTE - 2, NOW + MINUTE)
  const rememberMe = lasting(1440 * MINUTE, NOW + MINUTE)
  const short = lasting(MINUTE, NOW + MINUTE)

  test.each([
    ['the later date stands: theirs', base, base, refreshed, refreshed],
    ['the later date stands: mine', base, refreshed, base, refreshed],
    ['mine changed the life, theirs was refreshed', base, short, refreshed, short],
    ['theirs changed the life, mine was refreshed', base, refreshed, short, short],
    ['theirs changed the life, mine did nothing', base, base, rememberMe, rememberMe],
    ['both changed the life', base, short, rememberMe, short],
    ['theirs made it a browser session', base, refreshed, browserSession, browserSession],
    ['mine got a life', browserSession, rememberMe, browserSession, rememberMe],
    ['theirs got a life', browserSession, browserSession, rememberMe, rememberMe],
    [
      'a date that another language left out',
      cookieOf({ originalMaxAge: 5 }),
      lasting(5, NOW),
      cookieOf({ originalMaxAge: 5 }),
      lasting(5, NOW),
    ],
  ])('%s', (_, before, mine, theirs, merged) => {
    expect(mergeCookies([before], mine, theirs)).toEqual(merged)
  })

  test('takes a Date as it is', () => {
    const mine = cookieOf({ ...base, expires: new Date(NOW + 30 * MINUTE) })
    expect(mergeCookies([base], mine, refreshed)).toEqual(mine)
    expect(mergeCookies([base], mine, lasting(10 * MINUTE, NOW + 40 * MINUTE)).expires).toBe(
      iso(NOW + 50 * MINUTE),
    )
  })

  test('a life that one side has made longer ends no earlier than a later refresh of the other promised', () => {
    const before = lasting(10 * MINUTE, NOW)
    const promised = lasting(10 * MINUTE, NOW + 5 * MINUTE)
    const longer = lasting(11 * MINUTE, NOW + 1000)
    const shorter = lasting(5 * MINUTE, NOW + 1000)
    // Also where it is not known whether the refresh itself is what others started from.
    for (const bases of [[before], [before, promised]]) {
      for (const [mine, theirs] of [
        [promised, longer],
        [longer, promised],
      ] as const) {
        const { originalMaxAge, expires } = mergeCookies(bases, mine, theirs)
        expect([originalMaxAge, expires]).toEqual([11 * MINUTE, promised.expires])
      }
      expect(mergeCookies(bases, promised, shorter)).toEqual(shorter)
      expect(mergeCookies(bases, shorter, promised)).toEqual(shorter)
      expect(mergeCookies(bases, { ...before }, longer)).toEqual(longer)
    }
  })

  test('merges the other attributes one by one', () => {
    const before = lasting(10 * MINUTE, NOW, { secure: false, httpOnly: true, domain: 'a.example' })
    const mine = lasting(10 * MINUTE, NOW, {
      secure: true,
      httpOnly: true,
      domain: 'a.example',
      sameSite: 'lax',
    })
    const theirs = lasting(MINUTE, NOW, { secure: false, httpOnly: false, sameSite: 'none' })
    expect(mergeCookies([before], mine, theirs)).toEqual(
      lasting(MINUTE, NOW, { secure: true, httpOnly: false, sameSite: 'lax' }),
    )
  })

  test('leaves its arguments alone, and the order in which express-session writes', () => {
    const arguments_ = [base, refreshed, rememberMe].map(cookie => Object.freeze({ ...cookie })) as [
      Cookie,
      Cookie,
      Cookie,
    ]
    const [before, mine, theirs] = arguments_
    const merged = mergeCookies([before], mine, theirs)
    expect(Object.keys(merged)).toEqual(Object.keys(base))
    expect(arguments_).toEqual([base, refreshed, rememberMe])
  })
})

describe('merging any cookies', () => {
  const time = fc.integer({ min: NOW, max: NOW + 100_000 * MINUTE })
  const maxAge = fc.oneof(fc.constant(null), fc.constantFrom(MINUTE, 10 * MINUTE, 60 * MINUTE))
  const date = fc.oneof(
    fc.constant(null),
    time.map(iso),
    time.map(at => new Date(at)),
  )
  const attributes = fc.dictionary(
    fc.constantFrom('path', 'secure', 'sameSite'),
    fc.constantFrom('a', 'b', true),
    {
      noNullPrototype: true,
    },
  )
  const cookie = fc
    .tuple(maxAge, date, attributes)
    .map(([originalMaxAge, expires, more]) => cookieOf({ originalMaxAge, expires, ...more }))

  test('gives mine where theirs is the base, unless that has the later date', () => {
    fc.assert(
      fc.property(cookie, cookie, (base, mine) => {
        const merged = mergeCookies([base], mine, { ...base })
        expect(merged).toEqual(
          lifeChanged(base, mine) || later(mine, base) ? mine : { ...mine, ...lifeOf(base) },
        )
      }),
    )
  })

  test('gives theirs where mine is the base, unless that has the later date', () => {
    fc.assert(
      fc.property(cookie, cookie, (base, theirs) => {
        const merged = mergeCookies([base], { ...base }, theirs)
        expect(merged).toEqual(
          lifeChanged(base, theirs) || !later(base, theirs) ? theirs : { ...theirs, ...lifeOf(base) },
        )
      }),
    )
  })

  test('takes the life of one side whole, and never an earlier date than a refresh gave', () => {
    fc.assert(
      fc.property(cookie, cookie, cookie, (base, mine, theirs) => {
        const merged = mergeCookies([base], mine, theirs)
        const sides = [lifeOf(mine), lifeOf(theirs)]
        const kept = [
          { ...lifeOf(theirs), expires: mine.expires },
          { ...lifeOf(mine), expires: theirs.expires },
        ]
        expect([...sides, ...kept]).toContainEqual(lifeOf(merged))
        if (lifeChanged(base, mine) || lifeChanged(base, theirs)) return
        for (const side of [mine, theirs]) expect(later(merged, side)).toBe(true)
      }),
    )
  })

  test('knows no sides where nobody changed the life', () => {
    fc.assert(
      fc.property(cookie, time, time, (base, a, b) => {
        const [mine, theirs] = [a, b].map(at => cookieOf({ ...base, expires: base.expires && iso(at) })) as [
          Cookie,
          Cookie,
        ]
        fc.pre(!lifeChanged(base, mine) && !lifeChanged(base, theirs))
        expect(mergeCookies([base], mine, theirs)).toEqual(mergeCookies([base], theirs, mine))
      }),
    )
  })
})

function lifeOf({ originalMaxAge, expires }: Cookie): object {
  return { originalMaxAge, expires }
}

/** Does the first end no earlier than the second? */
function later(a: Cookie, b: Cookie): boolean {
  return (expiresOf(a) ?? -Infinity) >= (expiresOf(b) ?? -Infinity)
}
