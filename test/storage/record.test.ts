import { describe, expect, test } from 'vitest'
import { SessionRecord } from '../../lib/storage/record.ts'

const long = 'é€𝄞 '.repeat(10_000)

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
