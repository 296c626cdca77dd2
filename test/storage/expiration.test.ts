import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { expiration } from '../../lib/storage/expiration.ts'

const SECOND = 1000
const DAY = 86_400 * SECOND
const DAYS_30 = 30 * DAY
/** 2026-11-22T16:00:00.123Z */
const NOW = 1_795_363_200_123

function at(time: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: time })
}

afterEach(() => {
  vi.useRealTimers()
})

describe('memcached’s expiration field', () => {
  test.each([
    ['a moment', 0.001, 2],
    ['a second', SECOND, 2],
    ['a second and a bit', SECOND + 0.001, 3],
    ['30 days, less the second that is added', DAYS_30 - SECOND, 30 * 86_400],
    ['one more millisecond', DAYS_30 - SECOND + 1, Math.ceil((NOW + DAYS_30 - SECOND + 1) / SECOND) + 1],
    ['30 days', DAYS_30, Math.ceil((NOW + DAYS_30) / SECOND) + 1],
    ['a year', 365 * DAY, Math.ceil((NOW + 365 * DAY) / SECOND) + 1],
    ['the last second of 32 bits', 0xffff_fffe * SECOND - NOW, 0xffff_ffff],
    ['more than 32 bits', 0xffff_fffe * SECOND - NOW + 1, 0],
    ['for ever', Infinity, 0],
  ])('%s', (_, milliseconds, field) => {
    at(NOW)
    expect(expiration(milliseconds)).toBe(field)
  })

  test('lasts the life, and at most two seconds more, under the 30-day rule', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.double({ min: 0.001, max: 60 * DAY, noNaN: true }),
          fc.double({ min: DAYS_30 - 5 * SECOND, max: DAYS_30 + 5 * SECOND, noNaN: true }),
        ),
        fc.integer({ min: NOW - 365 * DAY, max: NOW + 3650 * DAY }),
        (milliseconds, now) => {
          at(now)
          const field = expiration(milliseconds)
          // As memcached reads it (protocol.txt, "Expiration times").
          const lasts = field <= 30 * 86_400 ? field * SECOND : field * SECOND - now
          expect(field).toBe(field >>> 0)
          expect(lasts).toBeGreaterThanOrEqual(milliseconds + SECOND)
          expect(lasts).toBeLessThan(milliseconds + 2 * SECOND + 1)
        },
      ),
    )
  })
})
