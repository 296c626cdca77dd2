import type { SessionData } from 'express-session'
import { expiresOf } from './expiry.ts'
import { mergeFrom } from './merge.ts'

type Cookie = SessionData['cookie']

/** How long a cookie lives, as express-session keeps it. */
interface Life {
  readonly originalMaxAge?: unknown
  readonly expires?: unknown
}

/**
 * Milliseconds. express-session's `touch()` reads the clock twice, so that `originalMaxAge` loses one or a
 * few each time that a tick falls in between.
 */
const DRIFT = 100

/**
 * Did somebody change how long the cookie lives (`maxAge` or `expires`), rather than refresh it? A refresh
 * moves the date and keeps `originalMaxAge`, but for a small drift. Where neither cookie has one, the dates decide.
 */
export function lifeChanged(before: Life, after: Life): boolean {
  const from = before.originalMaxAge
  const to = after.originalMaxAge
  if (typeof from === 'number' && typeof to === 'number') return Math.abs(from - to) > DRIFT
  if (typeof from === 'number' || typeof to === 'number') return true
  return !Object.is(expiresOf(before), expiresOf(after))
}

/**
 * Three-way merge of cookies, attribute by attribute as {@link mergeFrom} does it. But `expires` and
 * `originalMaxAge` are one thing, the cookie's life, and go together: who changed it wins over who did not,
 * `mine` where both did; where nobody did, both were refreshed at most, and the later date stands. A life that one
 * side has made longer keeps the date to which the other was refreshed, where that is later.
 *
 * Pure, on plain objects as they are parsed; dates may be `Date`s or texts.
 *
 * @param bases - what `theirs` may have started from; more than one where that is not known.
 */
export function mergeCookies(bases: readonly Cookie[], mine: Cookie, theirs: Cookie): Cookie {
  const { originalMaxAge, expires } = withLife(bases, mine, theirs)
  const life = { originalMaxAge, expires }
  return mergeFrom(bases, { ...mine, ...life }, { ...theirs, ...life }) as Cookie
}

/** The life that stands. */
function withLife(bases: readonly Cookie[], mine: Cookie, theirs: Cookie): Life {
  const isMine = bases.some(base => lifeChanged(base, mine))
  const isTheirs = bases.every(base => lifeChanged(base, theirs))
  if (isMine) return isTheirs ? mine : keeping(bases, mine, theirs)
  if (isTheirs) return keeping(bases, theirs, mine)
  return dateOf(theirs) > dateOf(mine) ? theirs : mine
}

/** A longer life does not end before the date that a visitor was promised with the shorter one. */
function keeping(bases: readonly Cookie[], life: Cookie, promised: Cookie): Life {
  const { originalMaxAge } = life
  const isLonger = (originalMaxAge ?? Infinity) > (promised.originalMaxAge ?? Infinity)
  const isEarlier = dateOf(life) > -Infinity && dateOf(life) < dateOf(promised)
  const isRefreshed = bases.some(base => dateOf(base) < dateOf(promised))
  return isLonger && isEarlier && isRefreshed ? { originalMaxAge, expires: promised.expires } : life
}

/** A refreshed cookie has a date, so that one without comes before it. */
function dateOf(cookie: Cookie): number {
  return expiresOf(cookie) ?? -Infinity
}
