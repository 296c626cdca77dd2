import type { Reply } from '../memcached/reply.ts'
import { NOT_FOUND, OK } from '../memcached/reply.ts'
import type { Keys } from './keys.ts'
import type { MemcachedSessions } from './memcached-sessions.ts'
import { Elsewhere, SessionRecord } from './record.ts'
import type { Relocation } from './relocation.ts'
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

  addressOf(sid: string): string {
    return this.#sessions.addressOf(sid)
  }

  read(sid: string, done: RecordCallback): void {
    this.#sessions.read(sid, (error, record) => {
      const isHere = record?.kind !== 'missing' && !(record?.version instanceof Elsewhere)
      if (error !== null || isHere) done(error, record)
      else settle(this.#find(sid), done)
    })
  }

  write(sid: string, text: string, milliseconds: number, over: SessionRecord, done: RecordCallback): void {
    const key = this.#keys.of(sid)
    const { version } = over
    if (version instanceof Elsewhere && version.key !== key) {
      settle(this.#move(sid, text, milliseconds, version), done)
      return
    }
    if (over.kind !== 'unknown') {
      this.#sessions.write(sid, text, milliseconds, here(over), done)
      return
    }
    this.#sessions.write(sid, text, milliseconds, over, (error, record) => {
      if (error !== null) done(error, null)
      else
        settle(
          this.#deleteOthers(sid).then(() => record),
          done,
        )
    })
  }

  writeTombstone(sid: string, revokedAt: string, over: SessionRecord, done: RecordCallback): void {
    const { version } = over
    if (over.kind === 'unknown') {
      settle(this.#destroyAll(sid, revokedAt), done)
      return
    }
    const key = version instanceof Elsewhere ? version.key : this.#keys.of(sid)
    this.#sessions.destroyAt(key, revokedAt, here(over), done)
  }

  check(sid: string, text: string): void {
    this.#sessions.check(sid, text)
  }

  remembers(since: number): boolean {
    return this.#sessions.remembers(since)
  }

  scan(alive?: (sid: string) => void): AsyncGenerator<ScannedRecord[], void, undefined> {
    return this.#sessions.scan(alive)
  }

  async #find(sid: string): Promise<SessionRecord> {
    const key = this.#keys.of(sid)
    const found = await this.#relocation.find(key, this.#keys.othersOf(sid))
    if (found === null) return SessionRecord.MISSING
    const record = await this.#form.record(found.key, found.reply)
    const { version } = found.reply
    if (found.key === key) return record
    return new SessionRecord(record.kind, record.text, new Elsewhere(found.key, version))
  }

  async #move(
    sid: string,
    text: string,
    milliseconds: number,
    from: Elsewhere,
  ): Promise<SessionRecord | null> {
    const reply: Reply = await this.#relocation.move(this.#keys.of(sid), from, (key, flags) =>
      this.#sessions.item(key, sid, text, milliseconds, flags),
    )
    if (reply.status === OK) return new SessionRecord('stored', text, reply.version)
    return reply.status === NOT_FOUND ? SessionRecord.MISSING : null
  }

  /** Under its own key at last: whoever finds nothing there has looked under the others. */
  async #destroyAll(sid: string, revokedAt: string): Promise<SessionRecord | null> {
    const [last] = await Promise.all(
      [this.#keys.of(sid), ...this.#keys.othersOf(sid)].map(key => this.#destroyAt(key, revokedAt)),
    )
    return last as SessionRecord | null
  }

  #destroyAt(key: string, revokedAt: string): Promise<SessionRecord | null> {
    return new Promise((resolve, reject) => {
      this.#sessions.destroyAt(key, revokedAt, SessionRecord.UNKNOWN, (error, record) => {
        if (error === null) resolve(record)
        else reject(error)
      })
    })
  }

  #deleteOthers(sid: string): Promise<void> {
    return this.#relocation.deleteAll(this.#keys.othersOf(sid))
  }
}

/** A record with the version that a server knows. */
function here(record: SessionRecord): SessionRecord {
  const { kind, text, version } = record
  return version instanceof Elsewhere ? new SessionRecord(kind, text, version.version) : record
}

function settle(promise: Promise<SessionRecord | null>, done: RecordCallback): void {
  promise.then(
    record => done(null, record),
    error => done(error, null),
  )
}
