import { Cookie, type SessionData } from 'express-session'
import { SessionRecord } from '../storage/record.ts'
import type { RecordCallback, Records, SideRecord, WriteOutcome } from '../storage/storage.ts'
import { Backed, type BackedOptions } from './backed.ts'
import type { BackingStore } from './backing-store.ts'
import type { Front } from './front.ts'
import type { Found, Shelf } from './shelf.ts'

/** A record in the backing store, which takes nothing but sessions. */
type Shelved = SessionData & { record?: unknown }

/** The indexes of users with a durable store behind: as sessions are, so that a sign-out everywhere finds them all. */
export class BackedRecords implements Records {
  readonly maxBytes: number
  readonly #both: Backed

  constructor(front: Records, shelf: Shelf, options: BackedOptions) {
    this.maxBytes = front.maxBytes
    this.#both = new Backed(new RecordsFront(front), shelf, options)
  }

  addressOf(name: string): string {
    return this.#both.addressOf(name)
  }

  async read(name: string): Promise<SideRecord | null> {
    const record = (await called(done => this.#both.read(name, done))) as SessionRecord
    return record.kind === 'missing' && record.version === null ? null : record
  }

  async write(
    name: string,
    text: string,
    milliseconds: number,
    over: SideRecord | null,
  ): Promise<WriteOutcome> {
    const known = over instanceof SessionRecord ? over : SessionRecord.MISSING
    const written = await called(done => this.#both.write(name, text, milliseconds, known, done))
    return written === null || written.kind === 'missing' ? 'changed' : written
  }

  close(): void {
    this.#both.close()
  }
}

/** Records of memcached in the words of sessions. None of them is ever destroyed. */
class RecordsFront implements Front {
  readonly #records: Records

  constructor(records: Records) {
    this.#records = records
  }

  check(): void {}

  addressOf(name: string): string {
    return this.#records.addressOf(name)
  }

  read(name: string, done: RecordCallback): void {
    settle(this.#read(name), done)
  }

  write(name: string, text: string, milliseconds: number, over: SessionRecord, done: RecordCallback): void {
    settle(this.#write(name, text, milliseconds, over), done)
  }

  writeTombstone(_name: string, _revokedAt: string, _over: SessionRecord, done: RecordCallback): void {
    process.nextTick(done, null, null)
  }

  async #read(name: string): Promise<SessionRecord> {
    const found = await this.#records.read(name)
    return found === null ? SessionRecord.MISSING : new SessionRecord('stored', found.text, found.version)
  }

  async #write(
    name: string,
    text: string,
    milliseconds: number,
    over: SessionRecord,
  ): Promise<SessionRecord | null> {
    const known = over.kind === 'unknown' ? await this.#read(name) : over
    const outcome = await this.#records.write(
      name,
      text,
      milliseconds,
      known.kind === 'missing' ? null : known,
    )
    if (typeof outcome === 'object') return new SessionRecord('stored', outcome.text, outcome.version)
    if (over.kind === 'unknown') return this.#write(name, text, milliseconds, over)
    return outcome === 'missing' ? SessionRecord.MISSING : null
  }
}

/** Records in the backing store. */
export class RecordShelf implements Shelf {
  readonly #store: BackingStore
  readonly #idOf: (name: string) => string

  constructor(store: BackingStore, idOf: (name: string) => string) {
    this.#store = store
    this.#idOf = idOf
  }

  async get(name: string): Promise<Found | null> {
    const found = (await this.#store.get(this.#idOf(name))) as Shelved | null
    if (typeof found?.record !== 'string') return null
    return { text: found.record, milliseconds: Math.max(untilIn(found.record) - Date.now(), 0) }
  }

  async put(name: string, text: string, _before: string | null, onLate: () => void): Promise<void> {
    const cookie = new Cookie()
    cookie.expires = new Date(untilIn(text))
    await this.#store.set(this.#idOf(name), { cookie, record: text } as Shelved, onLate)
  }

  isRefresh(): boolean {
    return false
  }

  isUpToDate(text: string, stored: string): boolean {
    return text === stored
  }

  destroy(name: string, onLate: () => void): Promise<void> {
    return this.#store.destroy(this.#idOf(name), onLate)
  }
}

/** Until when an index is to be kept: it says so itself. */
function untilIn(text: string): number {
  return Number((JSON.parse(text) as { until: unknown }).until)
}

function called(start: (done: RecordCallback) => void): Promise<SessionRecord | null> {
  return new Promise((resolve, reject) => {
    start((error, record) => (error === null ? resolve(record) : reject(error)))
  })
}

function settle(result: Promise<SessionRecord | null>, done: RecordCallback): void {
  result.then(
    record => done(null, record),
    error => done(error, null),
  )
}
