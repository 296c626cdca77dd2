import { type Text, textOf } from './kept-text.ts'

/** Which state of a record was read or written. Known to the storage that gave it alone. */
export type Version = object

/**
 * What lies under a session's id:
 *
 * - `missing`: nothing.
 * - `destroyed`: a tombstone; the id stays refused until it is gone. Its text says since when (`Sessions.writeTombstone`).
 * - `corrupt`: something that the store has not written.
 * - `stored`: a session's text.
 * - `unknown`: nobody has looked, and it does not matter.
 */
export type RecordKind = 'missing' | 'destroyed' | 'corrupt' | 'stored' | 'unknown'

/** One state of a session, as it was read or written. */
export class SessionRecord {
  static readonly MISSING: SessionRecord = new SessionRecord('missing', '', null)
  static readonly UNKNOWN: SessionRecord = new SessionRecord('unknown', '', null)

  readonly kind: RecordKind
  readonly content: Text
  /** To write on the condition that nothing has changed. Null where nothing is, or where nobody was told. */
  readonly version: Version | null

  constructor(kind: RecordKind, content: Text, version: Version | null) {
    this.kind = kind
    this.content = content
    this.version = version
  }

  get text(): string {
    return textOf(this.content)
  }

  /** Can it be written over on the condition that it is still there? Else somebody has to look first. */
  get isCertain(): boolean {
    return this.version !== null || this.kind === 'missing' || this.kind === 'unknown'
  }

  /** Was it read from a backing store, while memcached was away? */
  get isWithoutMemcached(): boolean {
    return this.kind === 'stored' && this.version === null
  }

  /** Is this its text? */
  holds(text: Text): boolean {
    if (typeof this.content === 'string' && typeof text === 'string') return this.content === text
    return this.content === text || this.text === textOf(text)
  }

  /** Is it the same that lies there, whatever its version? */
  isLike(other: Pick<SessionRecord, 'kind' | 'content'>): boolean {
    return this.kind === other.kind && this.holds(other.content)
  }
}
