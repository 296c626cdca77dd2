import { Cookie } from 'express-session'

/** What may be stored as a cookie, by whomever. */
interface AnyCookie {
  readonly originalMaxAge?: unknown
  readonly maxAge?: unknown
  readonly path?: unknown
  readonly domain?: unknown
  readonly sameSite?: unknown
  readonly priority?: unknown
  readonly toJSON?: unknown
}

/** What express-session makes of it; the types leave this out. */
const LiveCookie = Cookie as unknown as new (
  stored: AnyCookie,
) => { maxAge: unknown; serialize(name: string, value: string): string }

/** Milliseconds, 250,000 years: a date as far ahead as that is hardly one (ECMAScript ends at 8.64e15 after 1970). */
const MAX_TIME = 8e15

/**
 * Can express-session work with a cookie? What it cannot refresh throws in the middle of `res.end`, and the
 * request hangs; what it cannot send fails each time. What other languages, other versions and people store
 * is theirs, so this is asked before a session is handed out, and before it is stored.
 *
 * The `cookie` package decides what may be sent, and its versions differ: so express-session itself is
 * asked, and only where something stands in the cookie that did not stand in the last good one.
 */
export class CookieCheck {
  #path: unknown = '/'
  #domain: unknown
  #sameSite: unknown
  #priority: unknown

  works(cookie: AnyCookie): boolean {
    return this.#isKnown(cookie) || this.#rehearse(cookie)
  }

  #isKnown(cookie: AnyCookie): boolean {
    const { originalMaxAge, path, domain, sameSite, priority } = cookie
    return (
      isPlainTime(originalMaxAge) &&
      path === this.#path &&
      domain === this.#domain &&
      sameSite === this.#sameSite &&
      priority === this.#priority &&
      // A live cookie computes it.
      !Object.hasOwn(cookie, 'maxAge')
    )
  }

  /** Does what express-session does with a session that was read, until its response has been sent. */
  #rehearse(cookie: AnyCookie): boolean {
    try {
      // Of a live cookie, what will be stored.
      const stored: AnyCookie = typeof cookie.toJSON === 'function' ? cookie.toJSON() : { ...cookie }
      if (!isMaxAge(stored.maxAge)) return false
      const live = new LiveCookie(stored)
      live.maxAge = stored.originalMaxAge
      live.serialize('name', 'value')
    } catch {
      return false
    }
    this.#path = cookie.path
    this.#domain = cookie.domain
    this.#sameSite = cookie.sameSite
    this.#priority = cookie.priority
    return true
  }
}

function isPlainTime(time: unknown): boolean {
  return typeof time === 'number' ? time >= 0 && time <= MAX_TIME : time == null
}

/** A hand-made cookie may say by `Infinity` that it is for ever, as express-session takes `false` for no time. */
function isMaxAge(time: unknown): boolean {
  if (typeof time !== 'number') return time == null || time === false
  return Math.abs(time) <= MAX_TIME || Math.abs(time) === Infinity
}
