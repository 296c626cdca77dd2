import { createHash, createHmac } from 'node:crypto'
import { deriveKey } from './encryption.ts'
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
const NONE: readonly string[] = []

type Digest = (mark: string, text: string) => string

export interface NamingOptions {
  /** Do sessions lie under a hash of their id, all of them? */
  readonly hashKeys: boolean
  /** The hashes are keyed with the first; sessions are looked for under those of the others, too. */
  readonly encryptionKeys: readonly string[]
  /** Are sessions looked for where they lay before their ids were hashed? */
  readonly allowPlain: boolean
}

const PLAINLY: NamingOptions = { hashKeys: false, encryptionKeys: [], allowPlain: false }

/** Session id to memcached key. Ids that cannot be part of a key are replaced by their hash. */
export class Keys {
  readonly prefix: string
  /** May something lie under another key than its own, since before keys were changed? */
  readonly hasOthers: boolean
  /** Do all keys hide their id? */
  readonly hashesAll: boolean
  readonly #maxId: number
  readonly #readsPlain: boolean
  readonly #digest: Digest
  readonly #others: readonly Digest[]

  constructor(prefix: string, { hashKeys, encryptionKeys, allowPlain }: NamingOptions = PLAINLY) {
    this.prefix = prefix
    this.#maxId = MAX_KEY - prefix.length
    this.hashesAll = hashKeys
    this.#readsPlain = hashKeys && allowPlain
    const [first = sha256, ...others] = hashKeys ? encryptionKeys.map(hmac) : []
    this.#digest = first
    this.#others = others
    this.hasOthers = others.length > 0 || this.#readsPlain
  }

  /** @throws TypeError - for an id that is no string. */
  of(sid: string): string {
    checkId(sid)
    return this.hashesAll || !this.#isPlain(sid) ? this.#marked(HASHED, sid) : this.prefix + sid
  }

  /** Other keys that it may lie under since before. */
  othersOf(sid: string): readonly string[] {
    return this.#othersOf(HASHED, sid, () =>
      this.#isPlain(sid) ? this.prefix + sid : this.#marked(HASHED, sid, sha256),
    )
  }

  /** Where a user's sessions are listed. Hashed: any string names a user, and no name shows in a key. */
  ofUser(user: string): string {
    return this.#marked(USER, user)
  }

  othersOfUser(user: string): readonly string[] {
    return this.#othersOf(USER, user, () => this.#marked(USER, user, sha256))
  }

  /** Where a session's lock lies: the same for all processes, in whichever order they have their secrets. */
  ofLock(sid: string): string {
    return this.#marked(LOCK, sid, sha256)
  }

  /**
   * The key whose server a session's lock lies on: where the session lies, so that they can be reached, or not,
   * together; but where the keys of sessions change with the secrets, its own.
   */
  homeOfLock(sid: string): string {
    return this.hashesAll ? this.ofLock(sid) : this.of(sid)
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

  #isPlain(sid: string): boolean {
    return sid.length <= this.#maxId && PLAIN.test(sid)
  }

  #othersOf(mark: string, text: string, plain: () => string): readonly string[] {
    if (!this.hasOthers) return NONE
    const hashed = this.#others.map(digest => this.#marked(mark, text, digest))
    const all = this.#readsPlain ? [...hashed, plain()] : hashed
    return all.filter(key => key !== this.#marked(mark, text))
  }

  #marked(mark: string, text: string, digest: Digest = this.#digest): string {
    return this.prefix + mark + digest(mark, text)
  }
}

/* Both not as UTF-8, where texts with different halves of a character become the same bytes. */

function sha256(_mark: string, text: string): string {
  return createHash('sha256').update(text, 'utf16le').digest('base64url')
}

function hmac(secret: string): Digest {
  const key = deriveKey(secret, 'names')
  return (mark, text) =>
    createHmac('sha256', key)
      .update(mark + text, 'utf16le')
      .digest('base64url')
}
