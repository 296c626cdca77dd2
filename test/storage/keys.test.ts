import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Keys } from '../../lib/storage/keys.ts'
import { codePoint } from '../support/code-point.ts'

const plain: fc.Arbitrary<string> = fc.stringMatching(/^[!-~]{1,260}$/)
const any: fc.Arbitrary<string> = fc.oneof(
  plain,
  fc.string({ unit: codePoint, maxLength: 300 }),
  // Halves of characters, which UTF-8 cannot tell apart.
  fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 })).map(units => String.fromCharCode(...units)),
  fc.stringMatching(/^[#@!][\w-]{43}$/),
)
const prefixes: fc.Arbitrary<string> = fc.stringMatching(/^[!-~]{0,200}$/)

describe('an id that can be part of a key', () => {
  test.each(['a', 'Zx-_09', '~!', 'a#@!', 'a'.repeat(245)])('is: %s', sid => {
    const keys = new Keys('sess:')
    expect(keys.of(sid)).toBe(`sess:${sid}`)
    expect(keys.isHashed(keys.of(sid))).toBe(false)
  })
})

describe('an id that cannot is hashed', () => {
  test.each([
    ['empty', ''],
    ['one byte too long', 'a'.repeat(246)],
    ['very long', 'a'.repeat(100_000)],
    ['a space', 'a b'],
    ['a line end', 'a\r\nflush_all\r\n'],
    ['a control character', 'a\0'],
    ['DEL', 'a\x7f'],
    ['other scripts', 'Zoë'],
    ['half a character', '\ud83e'],
    ['like a hash', '#a'],
    ['like the index of a user', '@a'],
    ['like a lock', '!a'],
  ])('%s', (_, sid) => {
    const keys = new Keys('sess:')
    expect(keys.of(sid)).toMatch(/^sess:#[\w-]{43}$/)
    expect(keys.isHashed(keys.of(sid))).toBe(true)
  })

  test('also one that spells the key of another', () => {
    const keys = new Keys('sess:')
    const hashed = keys.of('a b')
    expect(keys.of(hashed.slice('sess:'.length))).not.toBe(hashed)
  })
})

test('every key is one that memcached takes', () => {
  fc.assert(
    fc.property(prefixes, any, (prefix, sid) => {
      const keys = new Keys(prefix)
      for (const key of [keys.of(sid), keys.ofUser(sid), keys.ofLock(sid)]) {
        expect(key).toMatch(/^[\x21-\x7e]{1,250}$/)
        expect(key.startsWith(prefix)).toBe(true)
        expect(keys.isSession(key)).toBe(key === keys.of(sid))
      }
    }),
  )
})

test('different ids, users and locks never share a key, and one always has the same', () => {
  const keys = new Keys('sess:')
  const halves = fc.string({
    unit: fc.constantFrom('\ud800', '\udbff', '\udc00', '\udfff', '\ufffd', 'a'),
    maxLength: 4,
  })
  const all = (text: string): string[] => [keys.of(text), keys.ofUser(text), keys.ofLock(text)]
  for (const text of [any, halves]) {
    fc.assert(
      fc.property(fc.uniqueArray(text, { maxLength: 20 }), texts => {
        expect(texts.flatMap(all)).toEqual(texts.flatMap(all))
        expect(new Set(texts.flatMap(all)).size).toBe(3 * texts.length)
      }),
    )
  }
})

test('ids that differ in halves of characters only do not share a key', () => {
  const keys = new Keys('sess:')
  const sids = ['\ud800', '\ud801', '\udfff', '\ufffd', '\ud800\ud800', '\ufffd\ufffd']
  expect(new Set(sids.map(sid => keys.of(sid))).size).toBe(sids.length)
})
