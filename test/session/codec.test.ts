import session, { Cookie, type SessionData } from 'express-session'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Codec, isSession, isUnmodified, MAX_DEPTH } from '../../lib/session/codec.ts'
import { parseJson, stringifyJson } from '../../lib/session/json.ts'
import { codePoint } from '../support/code-point.ts'
import { fewOrMany } from '../support/few-or-many.ts'

const codec = new Codec({ stringify: JSON.stringify, parse: parseJson })
const PROTO = '__proto__'

function sessionOf(data: object = {}, cookie: unknown = { path: '/' }): SessionData {
  return { cookie, ...data } as SessionData
}

function nested(levels: number): unknown {
  let value: unknown = '\u0001'
  for (let level = 0; level < levels; level++) value = { value }
  return value
}

/** What `parseJson` is to give, found another way. */
function withoutProto(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutProto)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([key]) => key !== PROTO)
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutProto(inner)]))
}

function expectOrdinary(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  expect([Object.prototype, Array.prototype]).toContain(Object.getPrototypeOf(value))
  expect(Object.hasOwn(value, PROTO)).toBe(false)
  for (const inner of Object.values(value)) expectOrdinary(inner)
}

describe('a session comes back as JSON gives it', () => {
  test('whatever JSON it holds', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }), value => {
        const text = codec.encode(sessionOf({ value }))
        expect(text).toBe(JSON.stringify(sessionOf({ value })))
        expect(codec.decode(text)).toEqual(withoutProto(JSON.parse(text)))
      }),
      { numRuns: fewOrMany(30, 100) },
    )
  })

  test('nested as deeply as express-session can take', () => {
    // The session is a level itself, and the cookie lies in another.
    const stored = sessionOf({ value: nested(MAX_DEPTH - 1) })
    expect(codec.encode(codec.decode(JSON.stringify(stored)) as SessionData)).toBe(JSON.stringify(stored))
    // Many brackets, and not deep.
    const wide = sessionOf({ value: Array.from({ length: 3 * MAX_DEPTH }, () => ({ a: ['{'] })) })
    expect(codec.decode(codec.encode(wide))).toEqual(wide)
    const list = sessionOf({ value: Array.from({ length: 3 * MAX_DEPTH }, (_, a) => ({ a })) })
    expect(codec.decode(codec.encode(list))).toEqual(list)
  })

  test('with a cookie of express-session', () => {
    const cookie = new session.Cookie()
    cookie.maxAge = 60_000
    cookie.originalMaxAge = 60_000
    expect(codec.decode(codec.encode({ cookie }))?.cookie).toMatchObject({
      originalMaxAge: 60_000,
      expires: (cookie.expires as Date).toISOString(),
      path: '/',
    })
  })
})

describe('__proto__ is no key of a session', () => {
  const spelled = fc
    .array(fc.boolean(), { minLength: PROTO.length, maxLength: PROTO.length })
    .map(escaped => [...PROTO].map((char, i) => (escaped[i] ? inHex(char) : char)).join(''))
  const inHex = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  const key = fc.oneof(spelled, spelled, fc.constantFrom('a', 'cookie', 'proto', '__proto', 'constructor'))
  const { json } = fc.letrec<{ json: string }>(tie => ({
    json: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      fc.constantFrom('1', 'null', '"__proto__"', String.raw`"\u005f_proto__"`, '{"polluted":true}'),
      fc.array(tie('json'), { maxLength: 3 }).map(all => `[${all}]`),
      fc
        .array(fc.tuple(key, tie('json')), { maxLength: 4 })
        .map(all => `{${all.map(([name, value]) => `"${name}": ${value}`)}}`),
    ),
  }))

  test('at any depth, however it is spelled', () => {
    fc.assert(
      fc.property(json, text => {
        const value = parseJson(text)
        expectOrdinary(value)
        expect(value).toEqual(withoutProto(JSON.parse(text)))
      }),
      { numRuns: fewOrMany(100, 500) },
    )
  })

  test.each([
    '{"__proto__":{"admin":true},"cookie":{}}',
    String.raw`{"\u005f_proto__":{"admin":true},"cookie":{}}`,
    String.raw`{"\u005F\u005fproto\u005f\u005f":{"admin":true},"cookie":{}}`,
    String.raw`{"__pr\u006fto__":{"admin":true},"cookie":{}}`,
    '{"cookie":{"__proto__":{"admin":true}}}',
    '{"cookie":{},"a":[{"b":{"__proto__":{"admin":true}}}]}',
  ])('%s', text => {
    const found = codec.decode(text) as SessionData
    expect(JSON.stringify(found)).not.toContain('admin')
    expectOrdinary(found)
    const live = new session.MemoryStore().createSession({} as never, found)
    expect(live).not.toHaveProperty('admin')
  })

  test('a text that only speaks of it is kept', () => {
    const stored = sessionOf({ note: '__proto__', path: String.raw`C:\u005f`, control: '\u0001' })
    expect(codec.decode(codec.encode(stored))).toEqual(stored)
  })
})

describe('what is no session is null', () => {
  test.each([
    ...['', '{', '{"cookie":{}', 'undefined', 'NaN', '{}', '[]', 'null', '0', '17', 'true', '"text"'],
    ...['{"cookie":null}', '{"cookie":"a"}', '{"cookie":1}', '[{"cookie":{}}]', '\u0000', '\ufffd'],
    ...["{'cookie':{}}", '{"cookie":{}}garbage', 'a:1:{s:6:"cookie";a:0:{}}', '(dp0\nS"cookie"'],
  ])('%j', text => {
    expect(codec.decode(text)).toBeNull()
  })

  test('any text: a session or null, never a throw', () => {
    const texts = fc.oneof(fc.string({ unit: codePoint }), fc.json())
    fc.assert(
      fc.property(texts, text => {
        const found = codec.decode(text)
        if (found !== null) expect(isSession(found)).toBe(true)
      }),
    )
  })

  test('isSession wants an object with a cookie', () => {
    for (const no of [undefined, null, 1, 'a', true, () => {}, {}, [], { cookie: null }, { cookie: 'a' }]) {
      expect(isSession(no)).toBe(false)
    }
    expect(isSession(sessionOf())).toBe(true)
  })
})

describe('a session that is nested too deeply', () => {
  const tooDeep = /^Expected a session to be nested at most 1000 levels deep/
  const flat = { stringify: () => 'a', parse: () => sessionOf({ value: nested(MAX_DEPTH) }) }

  test.each([MAX_DEPTH, 2000, 3000, 100_000])(
    '%d levels below its own: an error, and none when read',
    levels => {
      const stored = sessionOf({ value: nested(levels) })
      expect(() => codec.encode(stored)).toThrow(tooDeep)
      for (const [open, close] of [
        ['[', ']'],
        ['{"value":', '}'],
        ['{"\\u0001":', '}'],
      ] as const) {
        const value = `${open.repeat(levels)}1${close.repeat(levels)}`
        expect(codec.decode(`{"cookie":{},"value":${value}}`)).toBeNull()
        expect(codec.decode(`{"cookie":{"secure":${value}}}`)).toBeNull()
      }
    },
  )

  test('whatever else lies on each level', () => {
    const level = fc.constantFrom<(value: unknown) => unknown>(
      value => [value],
      value => ({ value }),
      value => [{}, value],
      value => [value, [], {}],
      value => [[], {}, value, {}, []],
      value => ({ a: {}, '},{': ['},{', '],['], value, b: [] }),
      value => ['},', value, ',{'],
    )
    const shape = fc.array(level, { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(shape, fc.integer({ min: -2, max: 2 }), (shapes, more) => {
        // The session is a level itself.
        const levels = MAX_DEPTH - 1 + more
        let value: unknown = 1
        for (let depth = 0; depth < levels; depth++) {
          const wrapped = shapes[depth % shapes.length] as (value: unknown) => unknown
          // What lies beside the deepest value is as deep as that.
          value = depth === 0 ? [value] : wrapped(value)
        }
        const stored = sessionOf({ value })
        if (more > 0) expect(() => codec.encode(stored)).toThrow(tooDeep)
        else expect(codec.encode(stored)).toBe(JSON.stringify(stored))
        expect(codec.decode(JSON.stringify(stored)) === null).toBe(more > 0)
      }),
      { numRuns: fewOrMany(100, 1000) },
    )
  })

  test('as its toJSON gives it', () => {
    const value = { toJSON: () => nested(MAX_DEPTH) }
    expect(() => codec.encode(sessionOf({ value }))).toThrow(tooDeep)
    const self = { a: nested(MAX_DEPTH), toJSON: () => ({ cookie: {}, a: 1 }) }
    expect(codec.encode(self as never)).toBe('{"cookie":{},"a":1}')
  })

  test('in a format of which nothing is known', () => {
    const other = new Codec(flat)
    expect(other.decode('a')).toBeNull()
    expect(() => other.encode(sessionOf({ value: nested(MAX_DEPTH) }))).toThrow(tooDeep)
  })

  test('express-session could not work with', () => {
    const hash = (levels: number) => () => {
      const stored = sessionOf({ value: JSON.parse('['.repeat(levels) + ']'.repeat(levels)) })
      return JSON.stringify(stored, (_key, value: unknown) => value)
    }
    expect(hash(MAX_DEPTH)).not.toThrow()
    expect(hash(10_000)).toThrow(RangeError)
  })
})

describe('a session whose text does not hold it is an error', () => {
  const message = /^Expected the text of a session to hold it with its `cookie`/

  test.each([
    ['drops the cookie', () => ({ a: 1 })],
    ['spoils the cookie', () => ({ cookie: '/' })],
    ['gives null', () => null],
    ['gives an array', () => []],
  ])('its toJSON %s', (_, toJSON) => {
    expect(() => codec.encode(Object.assign(sessionOf({ a: 1 }), { toJSON }))).toThrow(message)
  })

  test('its toJSON may change the rest, and the order', () => {
    const reordered = Object.assign(sessionOf(), { toJSON: () => ({ a: 1, cookie: {} }) })
    expect(codec.encode(reordered)).toBe('{"a":1,"cookie":{}}')
  })

  test('the serializer cannot read what it wrote', () => {
    const other = new Codec({ stringify: () => 'gibberish', parse: parseJson })
    expect(() => other.encode(sessionOf())).toThrow(message)
  })
})

describe('a session that cannot be text is an error', () => {
  test('a cycle', () => {
    const stored = sessionOf({ self: {} })
    Object.assign(stored, { self: stored })
    expect(() => codec.encode(stored)).toThrow(TypeError)
  })

  test('a BigInt', () => {
    expect(() => codec.encode(sessionOf({ n: 1n }))).toThrow(TypeError)
  })

  test.each([undefined, null, 1, Buffer.from('{}')])('a serializer that gives %o', value => {
    const other = new Codec({ stringify: () => value as never, parse: parseJson })
    expect(() => other.encode(sessionOf())).toThrow(/^Expected `serializer.stringify` to return a string/)
  })

  test('a serializer that cannot parse finds no session', () => {
    const other = new Codec({
      stringify: JSON.stringify,
      parse() {
        throw new Error('not mine')
      },
    })
    expect(other.decode('{"cookie":{}}')).toBeNull()
  })
})

describe('isUnmodified', () => {
  const text = (cookie: object, data: object = { a: 1 }): string => JSON.stringify({ cookie, ...data })
  const cookie = { originalMaxAge: 60_000, expires: '2026-11-22T16:00:00.000Z', httpOnly: true, path: '/' }
  const later = { ...cookie, expires: '2026-11-22T16:01:00.000Z' }

  test.each([
    ['the same text', text(cookie), text(cookie)],
    ['a later date', text(cookie), text(later)],
    ['a drift of originalMaxAge', text(cookie), text({ ...later, originalMaxAge: 59_999 })],
    ['a path with a brace', text({ ...cookie, path: '/}' }), text({ ...later, path: '/}' })],
    ['the same text, and no cookie in front', '{"a":1,"cookie":{}}', '{"a":1,"cookie":{}}'],
    ['the same text of another serializer', 'a:1', 'a:1'],
  ])('yes: %s', (_, before, after) => {
    expect(isUnmodified(before, after)).toBe(true)
  })

  test.each([
    ['a value', text(cookie), text(later, { a: 2 })],
    [
      'a value of the same length that is called expires',
      text(cookie, { expires: 'a' }),
      text(cookie, { expires: 'b' }),
    ],
    ['one called originalMaxAge', text(cookie, { originalMaxAge: 1 }), text(cookie, { originalMaxAge: 2 })],
    ['a key more', text(cookie), text(later, { a: 1, b: 1 })],
    ['a key less', text(cookie), text(later, {})],
    ['the path', text(cookie), text({ ...cookie, path: '/a' })],
    ['a path with a brace', text({ ...cookie, path: '/}a' }), text({ ...cookie, path: '/}b' })],
    ['data before the cookie', '{"a":1,"cookie":{"path":"/"}}', '{"a":2,"cookie":{"path":"/"}}'],
    [
      'expires inside the cookie’s object',
      '{"cookie":{"a":{"expires":"x"}}}',
      '{"cookie":{"a":{"expires":"y"}}}',
    ],
    ['a key like expires', text({ '"expires': 'x' }), text({ '"expires': 'y' })],
    ['a key like originalMaxAge', text({ '"originalMaxAge': 1 }), text({ '"originalMaxAge': 2 })],
    ['the order of keys', '{"cookie":{},"a":1,"b":2}', '{"cookie":{},"b":2,"a":1}'],
    ['the whole', text(cookie), '{"cookie":{'],
    ['another serializer', 'a:1', 'a:2'],
    ['a date that came', text({ ...cookie, expires: null }), text(cookie)],
  ])('no: %s has changed', (_, before, after) => {
    expect(isUnmodified(before, after)).toBe(false)
    expect(isUnmodified(after, before)).toBe(false)
  })

  /** All that a save must not lose. */
  const substance = (stored: string): unknown => {
    const { cookie, ...data } = JSON.parse(stored)
    const { expires, originalMaxAge, ...attributes } = cookie
    return [data, attributes]
  }

  // Few keys and values, so that two of them often differ in one place only.
  const name = fc.constantFrom(
    'a',
    'expires',
    'originalMaxAge',
    'cookie',
    'path',
    '"expires',
    '"originalMaxAge',
    '}',
    '\\',
  )
  const scalar = fc.constantFrom<unknown>(
    1,
    2,
    null,
    '',
    'x',
    'y',
    '}',
    '"',
    '\\',
    '","expires":"x',
    '","expires":"y',
  )
  const dict = fc.dictionary(name, scalar, { maxKeys: 3 })
  const value = fc.oneof({ arbitrary: scalar, weight: 4 }, dict, fc.array(scalar, { maxLength: 2 }))
  const data = fc.dictionary(name, value, { maxKeys: 3 })
  const cookies = fc.record(
    {
      originalMaxAge: fc.constantFrom(1, 2, null, -1, 1.5),
      expires: fc.constantFrom('2026-11-22T16:00:00.000Z', '2026-11-22T16:01:00.000Z', null),
      domain: scalar,
      path: scalar,
    },
    { requiredKeys: [] },
  )
  const stored = (cookie: fc.Arbitrary<object>): fc.Arbitrary<string> =>
    fc.tuple(cookie, data, data, fc.boolean()).map(([cookie, before, after, first]) => {
      if (!first) return JSON.stringify(Object.assign({ ...before, cookie }, after, { cookie }))
      return JSON.stringify(Object.assign({ cookie }, after, { cookie }))
    })

  test.each([
    ['a cookie as express-session makes it', cookies],
    ['any object for a cookie', data],
  ])('never yes where data differ: %s', (_, cookie) => {
    fc.assert(
      fc.property(fc.array(stored(cookie), { minLength: 20, maxLength: 60, size: 'max' }), texts => {
        for (const before of texts) {
          for (const after of texts) {
            if (isUnmodified(before, after)) expect(substance(after)).toEqual(substance(before))
          }
        }
      }),
    )
  })
})

/** The types leave out what it is made of. */
const LiveCookie = Cookie as unknown as new (options: object) => SessionData['cookie']

describe('stringifyJson', () => {
  /** Of express-session's own, as its middleware makes them. */
  function live(data: object, cookie: object): SessionData {
    const session = Object.assign(Object.create({ save() {}, touch() {} }), data) as SessionData
    session.cookie = new LiveCookie(cookie)
    return session
  }

  test('gives what JSON.stringify does, of every date and cookie', () => {
    const time = fc.oneof(
      fc.integer({ min: -1e12, max: 4e12 }),
      fc.constantFrom(0, 59_999, 60_000, 8.64e15, -1, 253_402_300_800_000, Number.NaN),
    )
    fc.assert(
      fc.property(
        fc.object(),
        fc.array(time),
        fc.option(fc.constantFrom('lax', 'none')),
        (data, times, sameSite) => {
          for (const one of times) {
            const session = live(data, { maxAge: 1000, sameSite: sameSite ?? undefined })
            session.cookie.expires = new Date(one)
            expect(stringifyJson(session)).toBe(JSON.stringify(session))
          }
        },
      ),
    )
  })

  test.each<[string, () => SessionData]>([
    ['no date', () => live({ a: 1 }, { maxAge: null })],
    ['a date that is a text', () => ({ a: 1, cookie: { expires: '2026-11-22T16:00:00.000Z' } }) as never],
    [
      'a toJSON of its own',
      () => Object.assign(live({ a: 1 }, { maxAge: 1000 }), { toJSON: () => ({ b: 2 }) }),
    ],
    [
      'a key that is not its own',
      () => Object.assign(Object.create({ inherited: 1 }), live({ a: 1 }, { maxAge: 1 })),
    ],
  ])('gives what JSON.stringify does, of a session with %s', (_, make) => {
    const session = make()
    expect(stringifyJson(session)).toBe(JSON.stringify(session))
  })
})
