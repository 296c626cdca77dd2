import { inspect } from 'node:util'
import type { SessionData } from 'express-session'
import { CookieCheck } from './cookie-check.ts'
import { isCanonical, textToTime } from './date.ts'

/** How long a session lives from now on, in seconds, decided by the application: the option `ttl`. 0 or less ends it. */
export type TtlFunction = (session: SessionData, sid: string) => number

const MAX_SLACK = 300_000
/** How long one computed ISO string serves for comparing. */
const HORIZON = 1000
/** What is known of one session's life when it is written. */
export interface Lifetime {
  /** Milliseconds that are left; 0 or less means it is over. */
  readonly left: number
  /** The cookie's date in milliseconds; undefined where it has none. */
  readonly expires: number | undefined
  /**
   * Milliseconds by which the stored expiry may lag behind the true one, because `touch` writes only
   * when it does. Everything stored lives this much longer, so that no session dies early.
   */
  readonly slack: number
}

/** How long sessions live, and what of it the storage is told. Times are milliseconds unless said otherwise. */
export class Expiry {
  readonly #ttl: number | TtlFunction
  readonly #touchAfter: number | undefined
  readonly #cookies: CookieCheck = new CookieCheck()
  #horizon = ''
  #horizonUntil = 0

  /** @param ttl - seconds. @param touchAfter - seconds; undefined: 1 % of a session's life, at most 300. */
  constructor(ttl: number | TtlFunction, touchAfter: number | undefined) {
    this.#ttl = ttl
    this.#touchAfter = touchAfter === undefined ? undefined : touchAfter * 1000
  }

  /**
   * The `ttl` function decides how long a session lives, else the cookie's `expires` or `maxAge`, else
   * the `ttl` number.
   *
   * @throws TypeError - where the function or the cookie gives no usable time, and for a cookie that
   *   {@link judge} would call invalid when the session is read.
   */
  of(session: SessionData, sid: string): Lifetime {
    const { cookie } = session
    const expires = expiresOf(cookie)
    const left = this.#left(session, sid, expires)
    if (left > 0 && !this.#works(cookie)) throw unusable(cookie)
    return { left, expires, slack: this.#slack(cookie, expires, left) }
  }

  #left(session: SessionData, sid: string, expires: number | undefined): number {
    if (typeof this.#ttl === 'function') {
      const seconds: unknown = this.#ttl(session, sid)
      if (typeof seconds !== 'number' || Number.isNaN(seconds)) {
        throw new TypeError(
          `Expected \`ttl\` to return a number of seconds, got \`${seconds}\` (${typeof seconds})`,
        )
      }
      return seconds * 1000
    }
    if (expires !== undefined) {
      if (Number.isNaN(expires))
        throw new TypeError('Expected `cookie.expires` to be a valid date, got an invalid one')
      return expires - Date.now()
    }
    const maxAge: unknown = session.cookie.maxAge
    if (typeof maxAge !== 'number') return this.#ttl * 1000
    if (Number.isNaN(maxAge))
      throw new TypeError('Expected `cookie.maxAge` to be a number of milliseconds, got NaN')
    return maxAge
  }

  #slack(cookie: SessionData['cookie'], expires: number | undefined, left: number): number {
    const slack =
      this.#touchAfter ?? Math.min(Math.max(this.#whole(cookie, expires, left), 0) / 100, MAX_SLACK)
    // What the storage alone ends lives for whole seconds, rounded up: a fraction would cost it one more.
    return expires === undefined || typeof this.#ttl === 'function' ? slack - (slack % 1000) : slack
  }

  /** How long the session lives when fresh. A cookie that does not say (a hand-made one) is never touched late. */
  #whole(cookie: SessionData['cookie'], expires: number | undefined, left: number): number {
    if (typeof this.#ttl === 'function') return left
    if (typeof cookie.originalMaxAge === 'number') return cookie.originalMaxAge
    return expires === undefined && typeof cookie.maxAge !== 'number' ? this.#ttl * 1000 : 0
  }

  /**
   * What the cookie's date says of a session that was read: the storage's own clock has whole seconds, the
   * cookie has milliseconds. A `ttl` function stands above the cookie: then the storage decides alone. With
   * a cookie that is invalid express-session could neither answer the request nor save the session.
   *
   * @param askedAt - when it was asked for (`performance.now()`), where that is not now: it is over only if it was
   *   over by then, since others may have renewed it while the answer was on its way.
   */
  judge(session: SessionData, askedAt?: number): 'alive' | 'over' | 'invalid' {
    if (!this.#works(session.cookie)) return 'invalid'
    const expires: unknown = session.cookie.expires
    // Comparing two ISO strings costs nothing, parsing a date 0.2 µs of a read of 3.
    if (typeof expires === 'string' && expires > this.#soon() && isCanonical(expires)) return 'alive'
    const time = expiresOf(session.cookie)
    if (Number.isNaN(time)) return 'invalid'
    if (time === undefined || typeof this.#ttl === 'function') return 'alive'
    // Whole milliseconds, as the other clock counts.
    const ago = askedAt === undefined ? 0 : Math.floor(performance.now() - askedAt)
    return time + this.#slack(session.cookie, time, 0) <= Date.now() - ago ? 'over' : 'alive'
  }

  #works(cookie: SessionData['cookie']): boolean {
    if (!this.#cookies.works(cookie)) return false
    const { originalMaxAge } = cookie
    return originalMaxAge === null || !(originalMaxAge < 0) || typeof this.#ttl === 'function'
  }

  /** A moment at most {@link HORIZON} ahead, and never past, in ISO form. */
  #soon(): string {
    const now = Date.now()
    if (now >= this.#horizonUntil || now < this.#horizonUntil - HORIZON) {
      this.#horizonUntil = now + HORIZON
      this.#horizon = new Date(this.#horizonUntil).toISOString()
    }
    return this.#horizon
  }
}

/** The cookie's date in milliseconds, NaN if it is no date, undefined if it has none. */
export function expiresOf({ expires }: { readonly expires?: unknown }): number | undefined {
  if (expires instanceof Date) return expires.getTime()
  if (typeof expires === 'string') return textToTime(expires)
  if (typeof expires === 'number') return expires
  return undefined
}

function unusable({ originalMaxAge }: SessionData['cookie']): TypeError {
  return new TypeError(
    'Expected `session.cookie` to be one that express-session can refresh and send: its `path`, `domain`, ' +
      '`sameSite`, `priority`, `maxAge`, and `originalMaxAge`, which is ' +
      `\`${inspect(originalMaxAge, { depth: 0 })}\` (${typeof originalMaxAge})`,
  )
}
