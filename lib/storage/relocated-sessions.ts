import type { Version as CasToken } from '../memcached/node.ts'
import { OK } from '../memcached/reply.ts'
import type { Text } from './kept-text.ts'
import type { Keys } from './keys.ts'
import type { MemcachedSessions } from './memcached-sessions.ts'
import { SessionRecord } from './record.ts'
import { Placed, type Relocation } from './relocation.ts'
import type { RecordCallback, ScannedRecord, Sessions } from './storage.ts'
import type { StoredForm } from './stored-form.ts'

/** Sessions some of which lie under a key from before: see {@link Relocation}. */
export class RelocatedSessions implements Sessions {
  readonly #sessions: MemcachedSessions
  readonly #keys: Keys
  readonly #form: StoredForm
  readonly #relocation: Relocation

  constructor(sessions: MemcachedSessions, keys: Keys, form: StoredForm, relocation: Relocation) {
    this.#sessions = sessions
    this.#keys = keys
    this.#form = form
    this.#relocation = relocation
  }

  get patience(): number {
    return this.#sessions.patience
  }

  get readPatience(): number {
    return this.#sessions.readPatience
  }

  addressOf(sid: string): string {
    return this.#sessions.addressOf(sid)
  }

  read(sid: string, done: RecordCallback): void {
    settle(this.#find(sid), done)
  }

  write(sid: string, text: Text, milliseconds: number, over: SessionRecord, done: RecordCallback): void {
    const { version } = over
    if (version instanceof Placed) settle(this.#write(sid, text, milliseconds, version), done)
    else settle(this.#create(sid, text, milliseconds, over), done)
  }

  writeTombstone(sid: string, revokedAt: string, over: SessionRecord, done: RecordCallback): void {
    const { kind, version } = over
    if (version instanceof Placed) {
      this.#sessions.destroyAt(version.key, revokedAt, new SessionRecord(kind, '', version.version), done)
    } else if (kind === 'unknown') {
      settle(this.#destroyEverywhere(sid, revokedAt), done)
    } else {
      this.#sessions.destroyAt(this.#keys.of(sid), revokedAt, over, done)
    }
  }

  check(sid: string, text: string): void {
    this.#sessions.check(sid, text)
  }

  remembers(since: number): boolean {
    return this.#sessions.remembers(since)
  }

  hasMovedSince(): boolean {
    return this.#sessions.hasMovedSince()
  }

  scan(alive?: (sid: string) => void): AsyncGenerator<ScannedRecord[], void, undefined> {
    return this.#sessions.scan(alive)
  }

  async #find(sid: string): Promise<SessionRecord> {
    const found = await this.#relocation.find(this.#keys.of(sid), this.#keys.othersOf(sid))
    if (found === null) return SessionRecord.MISSING
    const { kind, text } = await this.#form.record(found.key, found.reply)
    return new SessionRecord(kind, text, Placed.of(found.key, found.reply))
  }

  async #write(sid: string, text: Text, milliseconds: number, over: Placed): Promise<SessionRecord | null> {
    const { reply, placed } = await this.#relocation.write(this.#keys.of(sid), over, (key, flags) =>
      this.#sessions.item(key, sid, text, milliseconds, flags),
    )
    // What is gone from there may have been moved: whoever wrote looks again.
    if (reply.status !== OK) return null
    return new SessionRecord('stored', text, reply.version === null ? null : placed)
  }

  /** Under its own key, and no other. */
  async #create(
    sid: string,
    text: Text,
    milliseconds: number,
    over: SessionRecord,
  ): Promise<SessionRecord | null> {
    const record = await called(done => this.#sessions.write(sid, text, milliseconds, over, done))
    if (over.kind === 'unknown') await this.#relocation.deleteAll(this.#keys.othersOf(sid))
    if (record === null || record.version === null) return record
    const placed = new Placed(this.#keys.of(sid), record.version as CasToken, 0)
    return new SessionRecord(record.kind, record.content, placed)
  }

  async #destroyEverywhere(sid: string, revokedAt: string): Promise<SessionRecord | null> {
    const [own] = await Promise.all(
      [this.#keys.of(sid), ...this.#keys.othersOf(sid)].map(key =>
        called(done => this.#sessions.destroyAt(key, revokedAt, SessionRecord.UNKNOWN, done)),
      ),
    )
    return own as SessionRecord | null
  }
}

function called(start: (done: RecordCallback) => void): Promise<SessionRecord | null> {
  return new Promise((resolve, reject) => {
    start((error, record) => (error === null ? resolve(record) : reject(error)))
  })
}

function settle(promise: Promise<SessionRecord | null>, done: RecordCallback): void {
  promise.then(
    record => done(null, record),
    error => done(error, null),
  )
}
