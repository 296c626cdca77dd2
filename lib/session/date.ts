const SECOND = 1000
const MINUTE = 60_000
const DAY = 86_400_000

/**
 * A date as `2026-11-22T16:00:00.000Z`, whose order as text is its order in time. To JavaScript a
 * February 30 is March 2. Costs 0.03 µs, as little as looking at the characters one by one.
 */
const CANONICAL =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/

export function isCanonical(text: string): boolean {
  return CANONICAL.test(text)
}

/** The minute that was written last, and its text up to the seconds: the dates of a busy server share it. */
let minute = Number.NaN
let upToSeconds = ''

/** As `date.toJSON()`, which costs 0.4 µs. */
export function dateToText(date: Date): string | null {
  const time = date.getTime()
  if (!(time >= 0)) return date.toJSON()
  const rest = time % MINUTE
  if (time - rest !== minute) {
    minute = time - rest
    // Without the seconds, the milliseconds and the `Z`.
    upToSeconds = date.toISOString().slice(0, -7)
  }
  const seconds = Math.trunc(rest / SECOND)
  return `${upToSeconds}${twoDigits(seconds)}.${threeDigits(rest % SECOND)}Z`
}

/** As `Date.parse(text)`, which costs 0.2 µs. */
export function textToTime(text: string): number {
  if (!isCanonical(text)) return Date.parse(text)
  const days = daysSince1970(number(text, 0, 4), number(text, 5, 7), number(text, 8, 10))
  const minutes = number(text, 11, 13) * 60 + number(text, 14, 16)
  return days * DAY + minutes * MINUTE + number(text, 17, 19) * SECOND + number(text, 20, 23)
}

/** Of the Gregorian calendar, whose years are counted from March here, so that the odd day comes last. */
function daysSince1970(year: number, month: number, day: number): number {
  const years = month > 2 ? year : year - 1
  const dayOfYear = Math.trunc((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const leapDays = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400)
  return years * 365 + leapDays + dayOfYear - 719_468
}

function number(text: string, from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at++) value = value * 10 + text.charCodeAt(at) - 0x30
  return value
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : `${value}`
}

function threeDigits(value: number): string {
  return value < 100 ? `0${twoDigits(value)}` : `${value}`
}
