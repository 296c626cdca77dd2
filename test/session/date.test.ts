import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dateToText, textToTime } from '../../lib/session/date.ts'
import { fewOrMany } from '../support/few-or-many.ts'

const LAST = 8.64e15
/** Days at the ends of months, years and centuries among any others. */
const time = fc.oneof(
  fc.integer({ min: -1e12, max: 4e12 }),
  fc.integer({ min: -LAST, max: LAST }),
  fc
    .record({
      year: fc.integer({ min: 0, max: 9999 }),
      month: fc.nat(12),
      day: fc.integer({ min: -1, max: 2 }),
    })
    .map(({ year, month, day }) => new Date(0).setUTCFullYear(year, month, day)),
  fc.constantFrom(0, -1, 59_999, 60_000, LAST, -LAST, Number.NaN),
)

test('a date is written as JSON has it', () => {
  fc.assert(
    fc.property(fc.array(time), times => {
      for (const one of times) expect(dateToText(new Date(one))).toBe(new Date(one).toJSON())
    }),
    { numRuns: 1000 },
  )
})

test('a text is read as Date.parse reads it', () => {
  fc.assert(
    fc.property(time, one => {
      if (Number.isNaN(one)) return
      const text = new Date(one).toISOString()
      expect(textToTime(text)).toBe(one)
    }),
    { numRuns: fewOrMany(1000, 5000) },
  )
})

test.each([
  '2026-02-30T00:00:00.000Z',
  '2028-02-29T23:59:59.999Z',
  '2026-99-99T99:99:99.999Z',
  '0000-01-01T00:00:00.000Z',
  '0000-02-29T00:00:00.000Z',
  '9999-12-31T23:59:59.999Z',
  '2026-11-22T16:00:00Z',
  '2026-11-22T16:00:00.000+01:00',
  'Sun, 22 Nov 2026 16:00:00 GMT',
  'never',
  '',
])('%s is read as Date.parse reads it', text => {
  expect(textToTime(text)).toBe(Date.parse(text))
})
