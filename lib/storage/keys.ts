import { createHash } from 'node:crypto'
import { MAX_KEY } from './limits.ts'
import { checkId } from './session-id.ts'

/*
 * What follows the prefix in keys that do not show an id. An id that itself begins so is hashed too,
 * so that none of them ever meet.
 */
/** A session under the hash of its id. */
const HASHED = '#'
/** The index of a user's sessions. */
const USER = '@'
/** The lock of a session. */
const LOCK = '!'
/** An id as it may stand in a key: so that every protocol and tool can spell it, and with no mark. */
const PLAIN = /^[\x22\x24-\x3f\x41-\x7e][\x21-\x7e]*$/

/** Session id to memcached key. Ids that cannot be part of a key are replaced by their hash. */
export class Keys {
  readonly prefix: string
  readonly #maxId: number

  constructor(prefix: string) {
    this.prefix = prefix
    this.#maxId = MAX_KEY - prefix.length
  }

  /** @throws TypeError - for an id that is no string. */
  of(sid: string): string {
    checkId(sid)
    return sid.length <= this.#maxId && PLAIN.test(sid) ? this.prefix + sid : this.#marked(HASHED, sid)
  }

  /** Where a user's sessions are listed. Hashed: any string names a user, and no name shows in a key. */
  ofUser(user: string): string {
    return this.#marked(USER, user)
  }

  /** Where a session's lock lies. */
  ofLock(sid: string): string {
    return this.#marked(LOCK, sid)
  }

  /** Is this the key of a session, or of a tombstone, under our prefix? */
  isSession(key: string): boolean {
    const mark = key[this.prefix.length]
    return key.startsWith(this.prefix) && mark !== undefined && mark !== USER && mark !== LOCK
  }

  /** Does this key hide its id? Then the value tells it: see `stored-form.ts`. */
  isHashed(key: string): boolean {
    return key.startsWith(HASHED, this.prefix.length)
  }

  /** The id in the key of a session that does not hide it. */
  idIn(key: string): string {
    return key.slice(this.prefix.length)
  }

  #marked(mark: string, text: string): string {
    // Not as UTF-8, where texts with different halves of a character become the same bytes.
    return this.prefix + mark + createHash('sha256').update(text, 'utf16le').digest('base64url')
  }
}
