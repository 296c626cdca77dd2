import type { Cluster, Home } from '../cluster/cluster.ts'
import { MemcachedStoreError } from '../errors.ts'
import type { Version as CasToken, Item, WriteMode } from '../memcached/node.ts'
import { EXISTS, NOT_FOUND, OK, type Reply } from '../memcached/reply.ts'
import { expiration } from './expiration.ts'
import { type Text, textOf } from './kept-text.ts'
import type { Keys } from './keys.ts'
import { ITEM_OVERHEAD, MAX_OVERHEAD } from './limits.ts'
import { noVersions } from './no-versions.ts'
import { SessionRecord } from './record.ts'
import type { Scan } from './scan.ts'
import type { RecordCallback, ScannedRecord, Sessions } from './storage.ts'
import { addName, NAMED, type StoredForm, TOMBSTONE } from './stored-form.ts'

/** The text of a tombstone that says nothing: not empty, since yrmcds refuses an empty value in a binary SET. */
const SILENT = ' '

export interface SessionsOptions {
  /** memcached's `-I`, in bytes. */
  readonly maxItemSize: number
  /** Seconds for which a destroyed session stays refused. */
  readonly tombstone: number
  /** Milliseconds that a change may be on its way. */
  readonly timeout: number
}

/** Sessions in memcached. */
export class MemcachedSessions implements Sessions {
  readonly #cluster: Cluster
  readonly #keys: Keys
  readonly #form: StoredForm
  readonly #scan: Scan
  readonly #maxItemSize: number
  readonly #tombstone: number
  readonly patience: number
  readonly readPatience: number

  constructor(cluster: Cluster, keys: Keys, form: StoredForm, scan: Scan, options: SessionsOptions) {
    this.#cluster = cluster
    this.#keys = keys
    this.#form = form
    this.#scan = scan
    this.#maxItemSize = options.maxItemSize
    this.#tombstone = options.tombstone * 1000
    this.patience = options.timeout
    this.readPatience = options.timeout
  }

  addressOf(sid: string): string {
    return this.#cluster.home(this.#keys.of(sid)).address
  }

  remembers(since: number): boolean {
    return performance.now() - since < this.#tombstone
  }

  hasMovedSince(): boolean {
    return false
  }

  read(sid: string, done: RecordCallback): void {
    const key = this.#keys.of(sid)
    const home = this.#cluster.home(key)
    home.get(key, (error, reply) => {
      if (error !== null) {
        done(error, null)
        return
      }
      const record = this.#form.record(key, reply as Reply)
      if (record instanceof Promise) void record.then(late => this.#answer(key, late, done))
      else this.#answer(key, record, done)
    })
  }

  #answer(key: string, record: SessionRecord, done: RecordCallback): void {
    if (record.version === null && record.kind !== 'missing')
      done(noVersions(this.#cluster.home(key).address), null)
    else done(null, record)
  }

  write(sid: string, text: Text, milliseconds: number, over: SessionRecord, done: RecordCallback): void {
    const item = this.item(this.#keys.of(sid), sid, text, milliseconds)
    if (item instanceof Promise) this.#sendLate(item, text, over, done)
    else this.#send(item, text, over, done)
  }

  #sendLate(item: Promise<Item>, text: Text, over: SessionRecord, done: RecordCallback): void {
    item.then(
      late => this.#send(late, text, over, done),
      error => done(error, null),
    )
  }

  /** A session's text as it lies under this key. A promise where that takes long. */
  item(key: string, sid: string, text: Text, milliseconds: number, flags = 0): Item | Promise<Item> {
    const life = expiration(milliseconds)
    return this.#keys.isHashed(key)
      ? this.#form.item(key, addName(sid, textOf(text)), flags | NAMED, life)
      : this.#form.item(key, text, flags, life)
  }

  #send(item: Item, text: Text, over: SessionRecord, done: RecordCallback): void {
    if (!over.isCertain) {
      process.nextTick(done, null, null)
      return
    }
    // Unlike `set`, a `replace` or an `add` that is refused leaves the old item where it is.
    const mode: WriteMode = over.kind === 'unknown' ? 'set' : over.kind === 'missing' ? 'add' : 'replace'
    const home = this.#cluster.home(item.key)
    home.write(mode, item, over.version as CasToken | null, (error, reply) => {
      if (error !== null) done(error, null)
      else if ((reply as Reply).status === NOT_FOUND) done(null, SessionRecord.MISSING)
      else if ((reply as Reply).status !== OK) done(null, null)
      else written(home, text, reply as Reply, done)
    })
  }

  /** Before memcached refuses it, and deletes the old item over it. */
  check(sid: string, text: string): void {
    // A character takes at most three bytes in UTF-8, so most sessions need no counting.
    if ((text.length + 2 * sid.length) * 3 + MAX_OVERHEAD <= this.#maxItemSize) return
    const key = this.#keys.of(sid)
    const value = this.#keys.isHashed(key) ? addName(sid, text) : text
    const limit = this.#maxItemSize - ITEM_OVERHEAD - key.length
    const bytes = this.#form.size(value, limit)
    if (bytes <= limit) return
    throw new MemcachedStoreError(
      'ERR_TOO_LARGE',
      `Session of ${bytes} bytes is over the ${limit} that fit an item of \`maxItemSize\` ` +
        `${this.#maxItemSize}. Store less in it, or raise memcached's -I and the option`,
    )
  }

  writeTombstone(sid: string, revokedAt: string, over: SessionRecord, done: RecordCallback): void {
    this.destroyAt(this.#keys.of(sid), revokedAt, over, done)
  }

  /** The same under this key, and at this home. */
  destroyAt(
    key: string,
    revokedAt: string,
    over: SessionRecord,
    done: RecordCallback,
    home: Home = this.#cluster.home(key),
  ): void {
    if (!over.isCertain) {
      process.nextTick(done, null, null)
      return
    }
    const text = revokedAt === '' ? SILENT : revokedAt
    const version = over.version as CasToken | null
    const destroyed = (error: MemcachedStoreError | null, reply: Reply | null): void => {
      if (error !== null) done(error, null)
      else if ((reply as Reply).status === EXISTS) done(null, null)
      else done(null, new SessionRecord('destroyed', text, (reply as Reply).version))
    }
    if (this.#tombstone === 0) {
      home.delete(key, version, destroyed)
    } else {
      const mode = over.kind === 'unknown' ? 'set' : 'replace'
      // A write that was on its way when the session was destroyed may arrive late by the deadline of a request.
      const life = expiration(this.#tombstone + this.patience)
      home.write(mode, this.#form.shortItem(key, text, TOMBSTONE, life), version, destroyed)
    }
  }

  scan(alive?: (sid: string) => void): AsyncGenerator<ScannedRecord[], void, undefined> {
    return this.#scan.sessions(alive)
  }
}

function written(node: Home, text: Text, reply: Reply, done: RecordCallback): void {
  const { version } = reply
  if (version === null && reply.tellsVersion) done(noVersions(node.address), null)
  else done(null, new SessionRecord('stored', text, version))
}
