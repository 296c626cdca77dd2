import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addName, splitName } from '../../lib/storage/stored-form.ts'

describe('the name under a hashed key', () => {
  test('comes back with the text, whatever both hold', () => {
    const any = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(fc.oneof(any, fc.constantFrom('', '\n', '"\n"', '\ud800')), any, (sid, text) => {
        expect(splitName(addName(sid, text))).toEqual({ sid, text })
      }),
    )
  })

  test.each(['', '\n', 'a\n{}', '{}\n{}', '5\n{}', '"a"', '"a\n"{}'])('%j is none', value => {
    expect(splitName(value)).toBeNull()
  })
})
