import type { MemcachedStoreError } from '../errors.ts'
import type { Text } from './kept-text.ts'
import type { SessionRecord, Version } from './record.ts'

/**
 * What is stored, in the words of a store: what lies under a session's id, the few records beside sessions,
 * and all of it. Operations, users, locks and listing know this, and nothing of what is below it.
 */
export interface Storage {
  readonly sessions: Sessions
  /** The index of each user's sessions, by the user's name. */
  readonly indexes: Records
  /** Locks by session id. */
  readonly locks: DeletableRecords
  /** Values that this process has encrypted. */
  readonly sealed: number

  /**
   * Removes everything: sessions, tombstones, indexes and locks.
   *
   * @throws MemcachedStoreError - as {@link Sessions.scan} does.
   */
  clear(): Promise<void>

  /** Ends what is in flight and frees every socket and timer. */
  close(): Promise<void>
}

/** Called once, never before the call it belongs to has returned. It must not throw. */
export type RecordCallback = (error: MemcachedStoreError | null, record: SessionRecord | null) => void

/**
 * What lies under each session's id, and how it is changed on a condition. Callbacks, not promises: those
 * cost 0.3 to 0.5 µs on a path of 3 µs. What is asked for in one tick goes over the wire together.
 */
export interface Sessions {
  /** Milliseconds that a change has from its first wait on, as long as nothing gets on. */
  readonly patience: number

  /** Milliseconds that a read has in all, once it has had to wait for changes. */
  readonly readPatience: number

  /** Where a session lives: of which server, for people. */
  addressOf(sid: string): string

  read(sid: string, done: RecordCallback): void

  /**
   * Writes a session's text. On the condition that what was read is still there, where that has a version;
   * that nothing is, where it was missing; on none where it is unknown.
   *
   * @param milliseconds - for which it is to be kept, at least.
   * @param done - gets what lies there now. Where the condition did not hold: `missing`, or null for a change.
   */
  write(sid: string, text: Text, milliseconds: number, over: SessionRecord, done: RecordCallback): void

  /**
   * Destroys a session, and leaves a tombstone for a while, so that a request which read it before cannot
   * bring it back. On the condition that what was read is still there; on none where it is unknown.
   *
   * @param revokedAt - what the tombstone says: refused to logins listed by then. Empty: says nothing.
   * @param done - gets what lies there now; null where the condition did not hold.
   */
  writeTombstone(sid: string, revokedAt: string, over: SessionRecord, done: RecordCallback): void

  /** @throws MemcachedStoreError - `ERR_TOO_LARGE` for a text that cannot be written. */
  check(sid: string, text: string): void

  /** Does this process still know of a logout since then, a time of `performance.now()`? Else a missing session may be one. */
  remembers(since: number): boolean

  /** Has a session got another server since then, so that it is missing for that? */
  hasMovedSince(sid: string, since: number): boolean

  /**
   * Every session's record, in batches that are read as the consumer goes on. What is there from beginning
   * to end is given exactly once, in no order.
   *
   * @param alive - gets the ids of those that are known to be alive without reading them; they are not read then.
   * @throws MemcachedStoreError - `ERR_NOT_SUPPORTED` where a server lists nothing; any failure of a server.
   */
  scan(alive?: (sid: string) => void): AsyncGenerator<ScannedRecord[], void, undefined>
}

/** A session's record as a scan found it. */
export interface ScannedRecord {
  readonly sid: string
  readonly record: SessionRecord
  /** When it was asked for: a time of `performance.now()`. */
  readonly askedAt: number
}

/** Records of one kind beside the sessions, by name. They are read seldom, so these are promises. */
export interface Records {
  /** The longest text that can be written, in bytes. */
  readonly maxBytes: number

  /** Where a record lies: see {@link Sessions.addressOf}. */
  addressOf(name: string): string

  /** Null where nothing is there. */
  read(name: string): Promise<SideRecord | null>

  /**
   * Writes a text, on the condition that what was read is still there, or, where that is null, that nothing is.
   *
   * @param milliseconds - for which it is to be kept, at least.
   */
  write(name: string, text: string, milliseconds: number, over: SideRecord | null): Promise<WriteOutcome>
}

/** Records that end before their time, as a lock does. */
export interface DeletableRecords extends Records {
  /** Deletes a record, on the condition that it is still there. */
  delete(name: string, over: SideRecord): Promise<DeleteOutcome>
}

/** A record beside the sessions, as it was read or written. */
export interface SideRecord {
  readonly text: string
  /** Null where nobody was told: then a write over it looks first. */
  readonly version: Version | null
  /** Is it as it was before keys were changed? Then it wants to be written again, while it can still be read. */
  readonly isOutdated?: boolean
}

/** What lies there now; or why the condition did not hold: something else does, or nothing. */
export type WriteOutcome = SideRecord | 'changed' | 'missing'
export type DeleteOutcome = 'deleted' | 'changed' | 'missing'
