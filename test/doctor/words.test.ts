import { expect, test } from 'vitest'
import { bytes, count, counted, duration, inWords, NOT_TOLD, percent } from '../../lib/cli/words.ts'

test.each([
  [0, '0 s'],
  [119, '119 s'],
  [120, '2 min'],
  [7199, '119 min'],
  [7200, '2 h'],
  [172_799, '47 h'],
  [172_800, '2 days'],
  [31_536_000, '365 days'],
])('%d seconds are %s', (seconds, said) => {
  expect(duration(seconds)).toBe(said)
})

test.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [1024, '1 KB'],
  [1536, '1.5 KB'],
  [1_048_576, '1 MB'],
  [67_108_864, '64 MB'],
  [1_073_741_824, '1 GB'],
  [1_649_267_441_664, '1536 GB'],
])('%d bytes are %s', (number, said) => {
  expect(bytes(number)).toBe(said)
})

test.each([
  [0, '0 %'],
  [0.004, '0.4 %'],
  [0.1, '10 %'],
  [0.956, '96 %'],
  [1, '100 %'],
])('a share of %d is %s', (share, said) => {
  expect(percent(share)).toBe(said)
})

test('one of something is said as one, many with commas, and what is not told is no number', () => {
  expect([counted(0, 'key'), counted(1, 'key'), counted(1200, 'key')]).toEqual([
    '0 keys',
    '1 key',
    '1,200 keys',
  ])
  expect([count(Number.NaN), bytes(Number.NaN)]).toEqual([NOT_TOLD, NOT_TOLD])
})

test('an error is said with its cause, which says what the system said', () => {
  expect(inWords(new Error('away', { cause: new Error('ECONNREFUSED') }))).toBe('away: ECONNREFUSED')
  expect(inWords(new Error('away'))).toBe('away')
  expect(inWords(new Error('away', { cause: 'no error' }))).toBe('away')
})
