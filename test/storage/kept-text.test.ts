import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kept, lent, letGo, type Text, textOf } from '../../lib/storage/kept-text.ts'

const long = 'é€𝄞 '.repeat(10_000)

/** Where its bytes lie. */
function pageOf(text: Text): ArrayBufferLike {
  expect(text).toBeInstanceOf(Buffer)
  return (text as Buffer).buffer
}

describe('a text', () => {
  test.each([
    '',
    '{"cookie":{}}',
    'x'.repeat(16_384),
    // As long as its page; and a little less, with a character at the end that does not fit, or just does.
    ...[20_476, 20_477, 20_480].map(length => 'x'.repeat(length)),
    ...[20_470, 20_472, 20_474, 20_475].map(length => `${'x'.repeat(length)}𝄞`),
    `${'x'.repeat(20_475)}é`,
    long,
  ])('%#: kept, or lent, it is what it was', text => {
    expect(textOf(kept(text))).toBe(text)
    expect(textOf(lent(text))).toBe(text)
  })

  test('of a long one bytes are kept, of others the text', () => {
    for (const keep of [kept, lent]) {
      expect(keep('x'.repeat(16_384))).toBeTypeOf('string')
      expect(keep('x'.repeat(16_385))).toBeInstanceOf(Buffer)
    }
  })

  test('has the bytes of one before it that was let go, and was as long', () => {
    const first = lent('a'.repeat(20_000))
    const page = pageOf(first)
    expect(pageOf(lent('b'.repeat(20_000)))).not.toBe(page)
    letGo(first)
    expect(pageOf(lent('c'.repeat(50_000)))).not.toBe(page)
    const next = lent('d'.repeat(20_400))
    expect(pageOf(next)).toBe(page)
    expect(textOf(next)).toBe('d'.repeat(20_400))
  })

  test('that is let go twice serves once', () => {
    const text = lent('a'.repeat(20_000))
    letGo(text)
    letGo(text)
    const [one, other] = [lent('b'.repeat(20_000)), lent('c'.repeat(20_000))]
    expect([textOf(one), textOf(other)]).toEqual(['b'.repeat(20_000), 'c'.repeat(20_000)])
  })

  test('that is let go after its bytes have another owner leaves them to that', () => {
    const text = lent('a'.repeat(20_000))
    letGo(text)
    const owner = lent('b'.repeat(20_000))
    expect(pageOf(owner)).toBe(pageOf(text))
    letGo(text)
    expect(pageOf(lent('c'.repeat(20_000)))).not.toBe(pageOf(owner))
  })

  test('that was not lent is not taken', () => {
    const theirs = kept('x'.repeat(32_768))
    letGo(theirs)
    expect(pageOf(lent('a'.repeat(32_760)))).not.toBe(pageOf(theirs))
    letGo('a string')
  })

  test('is what it was until it is let go, whatever becomes of others', () => {
    const action = fc.record({
      unit: fc.constantFrom('a', 'é', '€', '𝄞', 'a𝄞'),
      length: fc.integer({ min: 16_380, max: 70_000 }),
      letsGo: fc.option(fc.nat()),
    })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 20 }), actions => {
        const all: { text: string; content: Text }[] = []
        for (const [number, { unit, length, letsGo }] of actions.entries()) {
          const text = `${number}${unit.repeat(length)}`
          all.push({ text, content: lent(text) })
          if (letsGo !== null) letGo((all.splice(letsGo % all.length, 1)[0] as { content: Text }).content)
          for (const one of all) expect(textOf(one.content) === one.text).toBe(true)
        }
      }),
      { numRuns: 30 },
    )
  })
})
