import type { SessionData } from 'express-session'
import { type Text, textOf } from '../storage/kept-text.ts'
import type { SessionRecord } from '../storage/record.ts'
import type { Codec } from './codec.ts'
import { expiresOf } from './expiry.ts'

/** What a request has tried to store: it may be stored. */
export interface Attempt {
  /** Tells an earlier one from a later one. */
  readonly number: number
  /** What the request knew then. */
  readonly text: string
  /** What was sent: with what others had changed merged in. */
  readonly sent: string
}

/**
 * What a request knows of a stored session: kept beside the session, found again when the same session
 * is saved. It makes that save conditional.
 */
export class Revision {
  /** The store that read it: to another store the session is new. */
  readonly store: object
  readonly sid: string
  /** The session as this request knows it: the base of its edits. Empty where it has read nothing. */
  content: Text
  /** What was stored when it was last seen: more than that where a save of this request merged something in. */
  record: SessionRecord
  /** When that was at the earliest: a time of `performance.now()`. */
  seenAt: number
  /** What it has tried to store since then, while it is not known whether it is, or was of a session that was over. */
  attempts: readonly Attempt[] = NONE
  /** What it is about to store, in the write that is being worked out. */
  planned: readonly Attempt[] = NONE
  /** Of the stored cookie: its date in milliseconds, undefined where it has none, NaN while nobody has looked. */
  expires: number | undefined = Number.NaN
  /** Of the stored cookie, once somebody has looked. */
  originalMaxAge: unknown
  /** Whose session the stored one is; undefined where it is nobody's, or without the option `userOf`. */
  user: string | undefined

  constructor(
    store: object,
    sid: string,
    record: SessionRecord,
    seenAt: number,
    user: string | undefined = undefined,
  ) {
    this.store = store
    this.sid = sid
    this.content = record.content
    this.record = record
    this.seenAt = seenAt
    this.user = user
  }

  get text(): string {
    return textOf(this.content)
  }

  /** For another session that is made of what was read. */
  copy(): Revision {
    const copy = new Revision(this.store, this.sid, this.record, this.seenAt, this.user)
    copy.content = this.content
    copy.attempts = this.attempts
    return copy
  }

  /** Is what is stored what the request knows, as far as anybody here knows? */
  get isCurrent(): boolean {
    return this.record.holds(this.content) && this.attempts.length === 0
  }
}

const NONE: readonly Attempt[] = []

/** Returns what it is given, so that a class below it adds its private field to that very object. */
class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is how a private field gets onto an object of another class
    return object
  }
}

/**
 * A private field on somebody else's object: no copy, enumeration, comparison or inspection sees it,
 * frozen objects take it, it dies with the session, and it costs 0.06 µs where a non-enumerable
 * symbol costs 0.2 and a WeakMap entry 0.3 or more.
 */
class Stamp extends Given {
  #revision: Revision | undefined

  private constructor(session: object, revision: Revision | undefined) {
    super(session)
    this.#revision = revision
  }

  static of(session: object): Revision | undefined {
    return #revision in session ? session.#revision : undefined
  }

  static set(session: object, revision: Revision | undefined): void {
    if (#revision in session) session.#revision = revision
    else new Stamp(session, revision)
  }
}

export function attachRevision(session: object, revision: Revision | undefined): void {
  Stamp.set(session, revision)
}

/** The revision of this session if this store has read it under this id. */
export function revisionOf(session: object, store: object, sid: string): Revision | undefined {
  const revision = Stamp.of(session)
  return revision !== undefined && revision.sid === sid && revision.store === store ? revision : undefined
}

/**
 * Carries what was read from the stored session over to a live one, whose cookie has the date parsed. Each has its own
 * from here on: who shares a read makes several of it.
 */
export function passRevision(
  stored: object,
  live: object,
  { originalMaxAge }: SessionData['cookie'],
  expires: number | undefined,
): void {
  const revision = Stamp.of(stored)?.copy()
  if (revision !== undefined) {
    revision.expires = expires
    revision.originalMaxAge = originalMaxAge
  }
  Stamp.set(live, revision)
}

/** What was read is looked at only once that matters; express-session's own sessions bring it along. */
export function lookAtCookie(codec: Codec, revision: Revision): void {
  if (!Number.isNaN(revision.expires)) return
  const stored = codec.decode(revision.record.text)
  revision.expires = stored === null ? undefined : expiresOf(stored.cookie)
  revision.originalMaxAge = stored?.cookie.originalMaxAge
}
