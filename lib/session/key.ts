import { createHash } from 'node:crypto'

/** memcached refuses longer keys, and closes the connection (protocol.txt, "Keys"). */
const LONGEST_KEY = 250
/** What a key may consist of, so that every protocol and tool can spell it. */
const PLAIN = /^[\x21-\x7e]+$/
/** Marks a hash in a key; an id that itself begins so is hashed too, so that the two never meet. */
const HASH_MARK = '#'

/** Session id to memcached key. Ids that cannot be part of a key are replaced by their hash. */
export class Keys {
  readonly prefix: string
  readonly #longestId: number

  constructor(prefix: string) {
    this.prefix = prefix
    this.#longestId = LONGEST_KEY - prefix.length
  }

  of(sid: string): string {
    if (sid.length <= this.#longestId && PLAIN.test(sid) && !sid.startsWith(HASH_MARK))
      return this.prefix + sid
    // Not as UTF-8, where ids with different halves of a character become the same bytes.
    return `${this.prefix}${HASH_MARK}${createHash('sha256').update(sid, 'utf16le').digest('base64url')}`
  }

  /** Does this key hide its id? Then the value tells it: see the codec. */
  isHashed(key: string): boolean {
    return key.startsWith(HASH_MARK, this.prefix.length)
  }
}
