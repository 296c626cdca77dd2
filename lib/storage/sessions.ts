import type { Cluster } from '../cluster/cluster.ts'
import { MemcachedStoreError } from '../errors.ts'
import type { MemcachedNode, WriteMode } from '../memcached/node.ts'
import { EXISTS, NOT_FOUND, OK, type Reply } from '../memcached/reply.ts'
import { addName, NAMED, splitName, TOMBSTONE } from '../session/codec.ts'
import type { Keys } from '../session/key.ts'
import { expiration } from './expiration.ts'
import { SessionRecord } from './record.ts'

/**
 * What memcached adds to key and value: a header of 48 bytes, 8 for the CAS token, 4 for flags, and
 * three of line ends (memcached 1.6, items.c, `item_make_header`).
 */
const ITEM_OVERHEAD = 63
/** More than overhead and key take together. */
const MOST_KEY = 320
/** The text of a tombstone that says nothing: not empty, since yrmcds refuses an empty value in a binary SET. */
const SILENT = ' '

export interface SessionsOptions {
  /** memcached's `-I`, in bytes. */
  readonly maxItemSize: number
  /** Seconds for which a destroyed session stays refused. */
  readonly tombstone: number
  /** Milliseconds that a request may be on its way. */
  readonly timeout: number
}

/** Called once, never before the call it belongs to has returned. It must not throw. */
export type RecordCallback = (error: MemcachedStoreError | null, record: SessionRecord | null) => void

/** Sessions in memcached: what lies under an id, and how it is changed on a condition. */
export class Sessions {
  readonly #cluster: Cluster
  readonly #keys: Keys
  readonly #maxItemSize: number
  readonly #tombstone: number
  readonly #timeout: number

  constructor(cluster: Cluster, keys: Keys, options: SessionsOptions) {
    this.#cluster = cluster
    this.#keys = keys
    this.#maxItemSize = options.maxItemSize
    this.#tombstone = options.tombstone * 1000
    this.#timeout = options.timeout
  }

  /** Does this process still know of a logout since then, a time of `performance.now()`? Else a missing session may be one. */
  remembers(since: number): boolean {
    return performance.now() - since < this.#tombstone
  }

  read(sid: string, done: RecordCallback): void {
    const key = this.#keys.of(sid)
    const home = this.#cluster.home(key)
    home.get(key, (error, reply) => {
      if (error !== null) done(error, null)
      else answer(home, reply as Reply, done)
    })
  }

  /**
   * Writes a session's text. On the condition that what was read is still there, where that has a version;
   * that nothing is, where it was missing; on none where it is unknown.
   *
   * @param milliseconds - for which it is to be kept.
   * @param done - gets what lies there now. Where the condition did not hold: `missing`, or null for a change.
   */
  write(sid: string, text: string, milliseconds: number, over: SessionRecord, done: RecordCallback): void {
    const key = this.#keys.of(sid)
    const isHashed = this.#keys.isHashed(key)
    // Unlike `set`, a `replace` or an `add` that is refused leaves the old item where it is.
    const mode: WriteMode = over.kind === 'unknown' ? 'set' : over.kind === 'missing' ? 'add' : 'replace'
    const item = {
      key,
      value: isHashed ? addName(sid, text) : text,
      flags: isHashed ? NAMED : 0,
      expiration: expiration(milliseconds),
    }
    const home = this.#cluster.home(key)
    home.write(mode, item, over.version, (error, reply) => {
      if (error !== null) done(error, null)
      else if ((reply as Reply).status === NOT_FOUND) done(null, SessionRecord.MISSING)
      else if ((reply as Reply).status !== OK) done(null, null)
      else written(home, text, reply as Reply, done)
    })
  }

  /** @throws MemcachedStoreError - `ERR_TOO_LARGE`, before memcached deletes the old item over it. */
  check(sid: string, text: string): void {
    // A character takes at most three bytes in UTF-8, so most sessions need no counting.
    if ((text.length + 2 * sid.length) * 3 + MOST_KEY <= this.#maxItemSize) return
    const key = this.#keys.of(sid)
    const value = this.#keys.isHashed(key) ? addName(sid, text) : text
    const limit = this.#maxItemSize - ITEM_OVERHEAD - key.length
    const bytes = Buffer.byteLength(value)
    if (bytes <= limit) return
    throw new MemcachedStoreError(
      'ERR_TOO_LARGE',
      `Session of ${bytes} bytes is over the ${limit} that fit an item of \`maxItemSize\` ` +
        `${this.#maxItemSize}. Store less in it, or raise memcached's -I and the option`,
    )
  }

  /**
   * Destroys a session, and leaves a tombstone for a while, so that a request which read it before cannot
   * bring it back. On the condition that what was read is still there; on none where it is unknown.
   *
   * @param epitaph - what the tombstone says; never read as a session.
   * @param done - gets what lies there now; null where the condition did not hold.
   */
  bury(sid: string, epitaph: string, over: SessionRecord, done: RecordCallback): void {
    const key = this.#keys.of(sid)
    const home = this.#cluster.home(key)
    const value = epitaph === '' ? SILENT : epitaph
    const buried = (error: MemcachedStoreError | null, reply: Reply | null): void => {
      if (error !== null) done(error, null)
      else if ((reply as Reply).status === EXISTS) done(null, null)
      else done(null, new SessionRecord('destroyed', value, (reply as Reply).version))
    }
    if (this.#tombstone === 0) {
      home.delete(key, over.version, buried)
    } else {
      const mode = over.kind === 'unknown' ? 'set' : 'replace'
      home.write(mode, { key, value, flags: TOMBSTONE, expiration: this.#grave }, over.version, buried)
    }
  }

  /** A write that was on its way when the session was destroyed may arrive late by the deadline of a request. */
  get #grave(): number {
    return expiration(this.#tombstone + this.#timeout)
  }
}

/** What a reply to a read holds. */
export function recordIn(reply: Reply): SessionRecord {
  if (reply.status === NOT_FOUND) return SessionRecord.MISSING
  const { flags, version } = reply
  if (flags === 0) return new SessionRecord('stored', reply.text, version)
  if ((flags & TOMBSTONE) !== 0) return new SessionRecord('destroyed', reply.text, version)
  const text = (flags & NAMED) === 0 ? reply.text : splitName(reply.text)?.text
  return text === undefined
    ? new SessionRecord('corrupt', '', version)
    : new SessionRecord('stored', text, version)
}

function answer(node: MemcachedNode, reply: Reply, done: RecordCallback): void {
  const record = recordIn(reply)
  if (record.version === null && record.kind !== 'missing') done(noVersions(node), null)
  else done(null, record)
}

function written(node: MemcachedNode, text: string, reply: Reply, done: RecordCallback): void {
  const { version } = reply
  if (version === null) done(noVersions(node), null)
  else done(null, new SessionRecord('stored', text, version))
}

function noVersions({ address }: MemcachedNode): MemcachedStoreError {
  return new MemcachedStoreError(
    'ERR_NOT_SUPPORTED',
    `memcached on ${address} counts no versions (CAS), without which updates are lost and logouts undone: ` +
      'start it without -C',
  )
}
