import type { Store } from 'express-session'
import { MemcachedStoreError } from '../errors.ts'
import type { Codec } from '../session/codec.ts'
import type { Expiry } from '../session/expiry.ts'
import { Keys } from '../storage/keys.ts'
import { SessionRecord } from '../storage/record.ts'
import type { DeletableRecords, ScannedRecord, Sessions, Storage } from '../storage/storage.ts'
import { Backed, type BackedOptions, isLease } from './backed.ts'
import { BackedRecords, RecordShelf } from './backed-records.ts'
import { BackingStore } from './backing-store.ts'
import { SessionShelf } from './session-shelf.ts'
import { Suspicion } from './suspicion.ts'
import { WatchedRecords } from './watched-records.ts'

export interface BackedStorageOptions extends Omit<BackedOptions, 'suspicion'> {
  readonly backing: Store
  readonly codec: Codec
  readonly expiry: Expiry
  readonly prefix: string
  readonly ttl: unknown
}

/** Storage in memcached with somebody else's durable store behind. Locks need none. */
export class BackedStorage implements Storage {
  readonly sessions: BackedSessions
  readonly indexes: BackedRecords
  readonly locks: DeletableRecords
  readonly #front: Storage
  readonly #store: BackingStore

  constructor(front: Storage, options: BackedStorageOptions) {
    const { backing, backingTimeout, counts, codec, expiry, prefix, ttl } = options
    const keys = new Keys(prefix)
    const store = new BackingStore(backing, backingTimeout, counts)
    // No id that express-session makes begins so.
    const mark = `@${prefix}`
    const isDated = typeof ttl !== 'function'
    const isOther = (id: string): boolean => id.startsWith(mark)
    const shelf = new SessionShelf(store, codec, expiry, { isDated, isOther, patience: backingTimeout })
    this.#front = front
    this.#store = store
    const suspicion = new Suspicion()
    const shared = { ...options, suspicion }
    this.sessions = new BackedSessions(front.sessions, shelf, shared)
    this.indexes = new BackedRecords(
      front.indexes,
      new RecordShelf(store, user => `@${keys.ofUser(user)}`),
      shared,
    )
    this.locks = new WatchedRecords(front.locks, suspicion)
  }

  get sealed(): number {
    return this.#front.sealed
  }

  /** In both. Else what is left in the backing store would come back. */
  async clear(): Promise<void> {
    if (!this.#store.can('clear')) {
      throw new MemcachedStoreError('ERR_NOT_SUPPORTED', 'The backing store has no `clear`')
    }
    await this.#store.ask('clear')
    await this.#front.clear()
  }

  async close(): Promise<void> {
    this.sessions.close()
    this.indexes.close()
    await this.#front.close()
  }
}

/** Sessions in memcached with a durable store behind. */
class BackedSessions extends Backed implements Sessions {
  readonly #front: Sessions
  readonly #shelf: SessionShelf

  constructor(front: Sessions, shelf: SessionShelf, options: BackedOptions) {
    super(front, shelf, options)
    this.#front = front
    this.#shelf = shelf
  }

  /** What is not at its new home is in the backing store. */
  hasMovedSince(): boolean {
    return false
  }

  /** The backing store has them all. One that lists nothing leaves those that memcached has. */
  async *scan(alive?: (sid: string) => void): AsyncGenerator<ScannedRecord[], void, undefined> {
    const askedAt = performance.now()
    const listed = await this.#shelf.list(alive)
    if (listed === null) {
      for await (const batch of this.#front.scan(alive)) yield batch.filter(({ record }) => !isLease(record))
      return
    }
    yield listed.map(([sid, { text }]) => {
      const record = new SessionRecord(text === null ? 'corrupt' : 'stored', text ?? '', null)
      return { sid, record, askedAt }
    })
  }
}
