import { describe, expect, test } from 'vitest'
import { kept, SessionRecord, textOf } from '../../lib/storage/record.ts'

const long = 'é€𝄞 '.repeat(10_000)

describe('a text', () => {
  test.each(['', '{"cookie":{}}', 'x'.repeat(16_384), long])('%#: kept, it is what it was', text => {
    expect(textOf(kept(text))).toBe(text)
  })

  test('of a long one bytes are kept, of others the text', () => {
    expect(kept('x'.repeat(16_384))).toBeTypeOf('string')
    expect(kept('x'.repeat(16_385))).toBeInstanceOf(Buffer)
  })
})

describe('a record', () => {
  const contents = [long, Buffer.from(long)]

  test.each(contents)('%#: holds its text, be it kept or not', content => {
    const record = new SessionRecord('stored', content, null)
    expect(record.text).toBe(long)
    for (const other of [...contents, Buffer.from(long)]) {
      expect(record.holds(other)).toBe(true)
      expect(record.isLike({ kind: 'stored', content: other })).toBe(true)
      expect(record.isLike({ kind: 'destroyed', content: other })).toBe(false)
    }
    for (const other of [`${long}.`, Buffer.from(`${long}.`), '']) expect(record.holds(other)).toBe(false)
  })
})
