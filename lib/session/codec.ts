import type { SessionData } from 'express-session'
import { lifeChanged } from './cookie.ts'
import { stringifyJson } from './json.ts'

/** How sessions become text and back; the option `serializer`. */
export interface Serializer {
  /**
   * The text of a session, cookie included. Gets a live one, whose cookie has a `toJSON` that tells what is to be
   * stored, or a plain one, whose cookie is that: `JSON.stringify` writes both. What it throws fails the save.
   */
  stringify(session: SessionData): string
  /** The session in such a text, with its cookie. Where it throws there is no session: event `corrupt`. */
  parse(text: string): unknown
}

/**
 * So many objects and arrays may lie in one another, the session itself counted: each request on a deeper
 * one would fail. express-session stringifies sessions with a replacer, whose recursion ends at 2,200 arrays
 * on an empty stack (Node 20), and an application's stack is not empty.
 */
export const MAX_DEPTH = 1000

const COMMA = 0x2c
const SQUARE_END = 0x5d
const CURLY_END = 0x7d

/** Session to text and back. */
export class Codec {
  readonly #serializer: Serializer
  readonly #isJson: boolean

  constructor(serializer: Serializer) {
    this.#serializer = serializer
    this.#isJson = serializer.stringify === stringifyJson || serializer.stringify === JSON.stringify
  }

  /**
   * @throws whatever the serializer throws (a cycle, a BigInt); a TypeError if it gives no string, or one
   *   in which {@link decode} would find no session.
   */
  encode(session: SessionData): string {
    const text = this.#stringify(session)
    if (typeof text !== 'string') {
      throw new TypeError(`Expected \`serializer.stringify\` to return a string, got (${typeof text})`)
    }
    if (this.#mayBeDeep(text) && isDeep(session)) throw tooDeep()
    if (!text.startsWith(COOKIE_FIRST) && this.decode(text) === null) {
      throw new TypeError(
        'Expected the text of a session to hold it with its `cookie`: look at its `toJSON`, and at the `serializer`',
      )
    }
    return text
  }

  /** The session in a text, or null where it holds none. */
  decode(text: string): SessionData | null {
    try {
      const value = this.#serializer.parse(text)
      return isSession(value) && !(this.#mayBeDeep(text) && isDeep(value)) ? value : null
    } catch {
      return null
    }
  }

  /** Are these the same but for a date that was refreshed, and no life changed? */
  isRefresh(before: string, after: string): boolean {
    if (!isUnmodified(before, after)) return false
    const [from, to] = [this.decode(before), this.decode(after)]
    return from !== null && to !== null && !lifeChanged(from.cookie, to.cookie)
  }

  #stringify(session: SessionData): unknown {
    try {
      return this.#serializer.stringify(session)
    } catch (error) {
      // The stack ran out.
      throw error instanceof RangeError && isDeep(session) ? tooDeep() : error
    }
  }

  /** Says no at once of what most sessions are; of a serializer's own format nothing is known. */
  #mayBeDeep(text: string): boolean {
    // In JSON a level has a bracket at either end.
    return this.#isJson ? text.length > 2 * MAX_DEPTH && opens(text, MAX_DEPTH) : true
  }
}

/**
 * Are there more opening brackets than so many, those aside that follow another's end (`},{`)? There one level
 * ends as one begins, so that no level is without one that counts: a list of many objects is none of many levels.
 * Faster than looking at what is between them.
 */
function opens(text: string, most: number): boolean {
  // The first two may be brackets that follow nothing: to look before the text's beginning would cost all others more.
  let count = 2
  for (const bracket of '{[') {
    for (let at = text.indexOf(bracket, 2); at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (!followsEnd(text, at) && ++count > most) return true
    }
  }
  return false
}

function followsEnd(text: string, at: number): boolean {
  if (text.charCodeAt(at - 1) !== COMMA) return false
  const before = text.charCodeAt(at - 2)
  return before === CURLY_END || before === SQUARE_END
}

/** Is this nested more deeply than {@link MAX_DEPTH}, as JSON sees it? Loops: lists of values would cost ten times as much. */
function isDeep(value: unknown, levels: number = MAX_DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) {
    if (levels === 0) return true
    for (const inner of value) if (isDeep(inner, levels - 1)) return true
    return false
  }
  const { toJSON } = value as { toJSON?: unknown }
  const seen = (typeof toJSON === 'function' ? toJSON.call(value) : value) as Record<string, unknown>
  if (typeof seen !== 'object' || seen === null) return false
  if (levels === 0) return true
  for (const key in seen) {
    const inner = seen[key]
    if (typeof inner === 'object' && Object.hasOwn(seen, key) && isDeep(inner, levels - 1)) return true
  }
  return false
}

function tooDeep(): TypeError {
  return new TypeError(`Expected a session to be nested at most ${MAX_DEPTH} levels deep, got more`)
}

/** express-session cannot do without `cookie` (its `Store.createSession` reads `sess.cookie.expires`). */
export function isSession(value: unknown): value is SessionData {
  if (typeof value !== 'object' || value === null) return false
  const cookie: unknown = (value as Partial<SessionData>).cookie
  return typeof cookie === 'object' && cookie !== null
}

/** How a text begins that express-session's own session gives: the cookie is its first key, and flat. */
const COOKIE_FIRST = '{"cookie":{'
/** What `session.touch()` changes; `originalMaxAge` drifts by a millisecond when the clock ticks in between. */
const TOUCHED = /"originalMaxAge":\d+|"expires":"[^"]*"/g
/** With escapes, or an object in the cookie, what looks like one of those two may be something else. */
const OPAQUE = /[\\{]/

/**
 * Is this session what was read, but for the cookie's date? Compares texts, and says no where it
 * cannot tell (a serializer with another format): then it is written, which is safe.
 */
export function isUnmodified(before: string, after: string): boolean {
  if (!before.startsWith(COOKIE_FIRST) || !after.startsWith(COOKIE_FIRST)) return before === after
  // The first brace closes the cookie or lies inside it, so what follows it holds all data.
  const endBefore = before.indexOf('}')
  const endAfter = after.indexOf('}')
  if (before.length - endBefore !== after.length - endAfter) return false
  if (before.slice(endBefore) !== after.slice(endAfter)) return false
  const cookieBefore = before.slice(COOKIE_FIRST.length, endBefore)
  const cookieAfter = after.slice(COOKIE_FIRST.length, endAfter)
  if (cookieBefore === cookieAfter) return true
  if (OPAQUE.test(cookieBefore) || OPAQUE.test(cookieAfter)) return false
  return cookieBefore.replace(TOUCHED, '') === cookieAfter.replace(TOUCHED, '')
}
