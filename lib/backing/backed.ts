import { ConnectionLostError, MemcachedStoreError } from '../errors.ts'
import { type Text, textOf } from '../storage/kept-text.ts'
import { SessionRecord } from '../storage/record.ts'
import type { RecordCallback } from '../storage/storage.ts'
import { type BackingCounts, BackingError } from './backing-store.ts'
import { type Debt, Debts } from './debts.ts'
import type { Front } from './front.ts'
import { isOfLine, isOfNewLine, LEASE, LinedFront, lineOf } from './lineage.ts'
import type { Found, Shelf } from './shelf.ts'
import { isAway, type Suspicion } from './suspicion.ts'

/** Rounds of one operation that others, or memcached's losses, may make necessary. */
const MAX_ROUNDS = 100

export interface BackedOptions {
  /** Milliseconds of one operation of memcached. */
  readonly timeout: number
  /** Milliseconds of one call of the backing store. */
  readonly backingTimeout: number
  readonly counts: BackingCounts
  /** Shared by all that lies on the same servers. */
  readonly suspicion: Suspicion
}

/**
 * Records in memcached with a durable store behind: memcached decides who wins, the backing store remembers.
 *
 * - What is read is memcached's; what that does not have is asked of the backing store, and put there.
 * - What is written is written to memcached on its condition, then to the backing store. Then memcached is
 *   looked at: where it holds something else by now that is stored too, so that whoever writes last to the
 *   backing store writes what memcached has.
 * - While memcached is away the backing store does its work alone, and what was changed is remembered
 *   ({@link Debts}). Records that were read so have no version.
 */
export class Backed implements Front {
  readonly patience: number
  /** Each of its steps has a deadline. All of it has none: it must not fail while one of the two sides answers. */
  readonly readPatience: number = Infinity
  readonly #front: LinedFront
  readonly #shelf: Shelf
  readonly #counts: BackingCounts
  /** Milliseconds. */
  readonly #lease: number
  readonly #debts: Debts
  readonly #suspicion: Suspicion

  constructor(front: Front, shelf: Shelf, { timeout, backingTimeout, counts, suspicion }: BackedOptions) {
    this.#front = new LinedFront(front)
    this.#shelf = shelf
    this.#counts = counts
    this.#suspicion = suspicion
    this.#lease = timeout + backingTimeout
    this.patience = patienceWith(timeout, backingTimeout)
    this.#debts = new Debts((id, debt) => this.#pay(id, debt))
  }

  /** What is in neither is no loss, but a logout, or over. */
  remembers(): boolean {
    return false
  }

  addressOf(sid: string): string {
    return this.#front.addressOf(sid)
  }

  check(sid: string, text: string): void {
    this.#front.check(sid, text)
  }

  read(sid: string, done: RecordCallback): void {
    if (this.#debts.bars(sid)) {
      settle(this.#readBehind(sid, null), done)
      return
    }
    // Callbacks, since this is what most requests do.
    this.#front.read(sid, (error, record) => {
      if (error !== null) settle(this.#readAway(sid, this.#noted(sid, error)), done)
      else if (this.#isGood(sid, record as SessionRecord)) done(null, record)
      else settle(this.#readBehind(sid, record), done)
    })
  }

  write(sid: string, text: Text, milliseconds: number, over: SessionRecord, done: RecordCallback): void {
    settle(this.#write(sid, textOf(text), milliseconds, over), done)
  }

  writeTombstone(sid: string, revokedAt: string, over: SessionRecord, done: RecordCallback): void {
    settle(this.#writeTombstone(sid, revokedAt, over), done)
  }

  close(): void {
    this.#debts.close()
  }

  /** Is this what there is of it? */
  #isGood(sid: string, record: SessionRecord): boolean {
    return !isVacant(record) && (record.kind === 'destroyed' || !this.#isSuspect(sid))
  }

  #isSuspect(sid: string): boolean {
    return !this.#suspicion.isEmpty && this.#suspicion.falls(this.#front.addressOf(sid))
  }

  /** What memcached does not have. @param seen - what was just found there, if anybody has looked. */
  async #readBehind(sid: string, seen: SessionRecord | null): Promise<SessionRecord> {
    let known = seen
    let before: SessionRecord | null = null
    for (let round = 0; round < MAX_ROUNDS; round++) {
      try {
        await this.#payFor(sid)
        const record = known ?? (await this.#look(sid))
        // Brought by another who has asked the backing store since.
        const isFresh = before !== null && isOfNewLine(record, before)
        const isKnown = isFresh || this.#isGood(sid, record) || (await this.#isConfirmed(sid, record))
        const found = isKnown ? record : await this.#refill(sid, record)
        if (found !== null) return found
        if (!isLease(record)) before ??= record
        known = null
      } catch (error) {
        return this.#readAway(sid, error)
      }
    }
    throw tooMany()
  }

  /** Has a server that was away the same as the backing store, so that there is nothing to be brought? */
  async #isConfirmed(sid: string, record: SessionRecord): Promise<boolean> {
    if (record.kind !== 'stored' || isLease(record)) return false
    const isOwed = this.#debts.of(sid) !== undefined
    const stored = await this.#ask(sid)
    if (stored === null || stored.text === null) return false
    // What may have been stored in memcached alone counts for nothing yet, not even a date.
    return isOwed ? stored.text === record.text : this.#shelf.isUpToDate(record.text, stored.text)
  }

  /** Null where it has to be looked at again. */
  async #refill(sid: string, found: SessionRecord): Promise<SessionRecord | null> {
    const lease = isLease(found) ? found : await this.#takeLease(sid, found)
    // Over text nobody is told the version of what he has written; and it is needed before the answer is.
    if (lease === null || !lease.isCertain) return null
    const stored = await this.#ask(sid)
    if (stored === null) return new SessionRecord('missing', '', lease.version)
    const { text, milliseconds } = stored
    if (text === null) return new SessionRecord('corrupt', '', lease.version)
    this.#counts.refills++
    // Too large for memcached: it can be read, and saved if it gets smaller.
    if (!this.#fits(sid, text)) return new SessionRecord('stored', text, lease.version)
    const brought = isDone(await this.#putOver(sid, text, milliseconds, lease))
    // Without its version it would be taken for one that memcached has no part in.
    return brought?.isCertain === true ? brought : null
  }

  #fits(sid: string, text: string): boolean {
    try {
      this.#front.check(sid, text)
      return true
    } catch {
      return false
    }
  }

  /** In the place of what was found. */
  async #takeLease(sid: string, found: SessionRecord): Promise<SessionRecord | null> {
    return isDone(await this.#putOver(sid, LEASE, this.#lease, found))
  }

  #readAway(sid: string, error: unknown): Promise<SessionRecord> {
    return isAway(error) ? this.#readAlone(sid) : Promise.reject(error)
  }

  async #ask(sid: string): Promise<Found | null> {
    await this.#debts.paid(sid)
    return this.#shelf.get(sid)
  }

  async #readAlone(sid: string): Promise<SessionRecord> {
    const found = await this.#ask(sid)
    if (found === null) return SessionRecord.MISSING
    return new SessionRecord(found.text === null ? 'corrupt' : 'stored', found.text ?? '', null)
  }

  async #write(
    sid: string,
    text: string,
    milliseconds: number,
    over: SessionRecord,
  ): Promise<SessionRecord | null> {
    const alone = (): Promise<SessionRecord> => this.#writeAlone(sid, text)
    return this.#change(sid, over, alone, async () => {
      // What memcached has lost the backing store has: then it is to be looked at again.
      const written = isDone(await this.#putOver(sid, text, milliseconds, over))
      return written && this.#store(sid, written, over.kind === 'stored' ? over : null)
    })
  }

  #writeTombstone(sid: string, revokedAt: string, over: SessionRecord): Promise<SessionRecord | null> {
    const alone = (): Promise<SessionRecord> => this.#destroyAlone(sid, revokedAt)
    return this.#change(sid, over, alone, async () => {
      const buried = await this.#bury(sid, revokedAt, over)
      return buried && this.#store(sid, buried)
    })
  }

  /**
   * Changes a session in both, or, where memcached is away, in the backing store alone. Null where it is to be
   * looked at again: what it was worked out on is not what lies there, or cannot be compared with that.
   */
  async #change(
    sid: string,
    over: SessionRecord,
    alone: () => Promise<SessionRecord>,
    both: () => Promise<SessionRecord | null>,
  ): Promise<SessionRecord | null> {
    try {
      if (this.#debts.bars(sid)) {
        await this.#payFor(sid)
        if (over.kind !== 'unknown') return null
      } else if (wasReadAlone(over)) {
        await this.#look(sid)
        return null
      }
      // A call to the backing store may overtake the one before it.
      await this.#debts.paid(sid)
      return await both()
    } catch (error) {
      if (error instanceof ConnectionLostError) await this.#sortOut(sid)
      if (error instanceof ConnectionLostError || !isAway(error)) throw error
      if (over.version === null) return alone()
      // It may have been carried out all the same: then memcached has more than the backing store.
      this.#debts.owe(sid, { kind: 'behind' })
      return null
    }
  }

  /** Whether a write was carried out is not known: whoever finds it in memcached must find it stored as well. */
  async #sortOut(sid: string): Promise<void> {
    this.#debts.owe(sid, { kind: 'behind' })
    for (let round = 0; round < MAX_ROUNDS; round++) {
      try {
        await this.#bringUp(sid)
        return
      } catch (error) {
        if (!isAway(error)) throw error
        // In an outage everybody goes by the backing store. Where just the connection broke, others find it in memcached.
        if (!(error instanceof ConnectionLostError)) return
      }
    }
    throw tooMany()
  }

  async #bringUp(sid: string): Promise<void> {
    const seen = await this.#look(sid)
    if (isVacant(seen)) return
    if (this.#isGood(sid, seen)) await this.#store(sid, seen)
    // Not before it is known whose word counts.
    else throw new MemcachedStoreError('ERR_UNAVAILABLE', 'memcached was away')
  }

  /**
   * Stores what memcached has, until nothing has come in between. Gives what it was called with: what others
   * wrote, they wrote over that. Where memcached has lost it in between they may not have: then it is not known.
   */
  async #store(
    sid: string,
    first: SessionRecord,
    before: SessionRecord | null = null,
  ): Promise<SessionRecord> {
    const debt = this.#debts.of(sid)
    // Of what the backing store has not got there is nothing to be refreshed.
    const isRefresh = before !== null && debt === undefined && this.#shelf.isRefresh(before.text, first.text)
    // Of what came from there it is not known until when it is kept: that is stored anew.
    let refreshed = isRefresh && lineOf(before) === '' ? before.text : null
    let record = first
    for (let round = 0; round < MAX_ROUNDS; round++) {
      let next: SessionRecord | null
      try {
        await this.#send(sid, record, refreshed)
        next = await this.#next(sid, record)
      } catch (error) {
        this.#debts.owe(sid, debtOf(record))
        if (isAway(error) || (isRefresh && error instanceof BackingError)) return first
        throw error
      }
      if (next === null) {
        if (debt?.kind === 'behind') this.#debts.caughtUp(sid, debt)
        if (!isOfLine(first, record)) throw this.#lost()
        return first
      }
      record = next
      refreshed = null
    }
    throw tooMany()
  }

  /** It is to be looked whether what was written is among what lies there. */
  #lost(): ConnectionLostError {
    const message = 'memcached lost a session while it was written: whether it was stored is not known'
    return new ConnectionLostError('ERR_UNAVAILABLE', message).withRemaining(this.patience)
  }

  /** What is to be stored after this record has been; null where that still is what memcached has. */
  async #next(sid: string, record: SessionRecord): Promise<SessionRecord | null> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const seen = await this.#look(sid)
      if (seen.kind === 'missing' || seen.kind === 'corrupt' || seen.isLike(record)) return null
      if (!isLease(seen)) {
        // A logout stays one: nobody but who has asked the backing store too early comes by such a session.
        return record.kind === 'destroyed' ? ((await this.#bury(sid, record.text, seen)) ?? record) : seen
      }
      // Memcached has lost it meanwhile, or somebody did not trust it, and has asked the backing store: perhaps before
      // that had it. Then he must ask once more. Where the lease has ended, others may have gone on from what he has
      // brought: this record would come over theirs.
      if ((await this.#endLease(sid, record, seen)) !== null) return null
    }
    throw tooMany()
  }

  async #send(sid: string, { kind, text }: SessionRecord, refreshed: string | null): Promise<void> {
    // What comes late may come over something newer.
    const onLate = (): void => this.#debts.owe(sid, { kind: 'behind' })
    if (kind === 'stored') await this.#shelf.put(sid, text, refreshed, onLate)
    else if (kind === 'destroyed') await this.#shelf.destroy(sid, onLate)
  }

  /** By another one, or by the tombstone of what was destroyed. */
  #endLease(sid: string, { kind, text }: SessionRecord, lease: SessionRecord): Promise<SessionRecord | null> {
    return kind === 'stored' ? this.#putOver(sid, LEASE, this.#lease, lease) : this.#bury(sid, text, lease)
  }

  async #writeAlone(sid: string, text: string): Promise<SessionRecord> {
    this.#debts.owe(sid, { kind: 'changed' })
    await this.#debts.paid(sid)
    try {
      await this.#shelf.put(sid, text, null, () => {})
    } finally {
      // Memcached may be back by now, and have been brought what was there before.
      this.#debts.owe(sid, { kind: 'changed' })
    }
    return new SessionRecord('stored', text, null)
  }

  async #destroyAlone(sid: string, revokedAt: string): Promise<SessionRecord> {
    this.#debts.owe(sid, { kind: 'destroyed', revokedAt })
    await this.#debts.paid(sid)
    await this.#shelf.destroy(sid, () => {})
    return new SessionRecord('destroyed', revokedAt, null)
  }

  async #pay(sid: string, debt: Debt): Promise<void> {
    if (debt.kind === 'behind') await this.#bringUp(sid)
    else if (debt.kind === 'changed') await this.#putOver(sid, LEASE, this.#lease, SessionRecord.UNKNOWN)
    else {
      const buried = await this.#bury(sid, debt.revokedAt, SessionRecord.UNKNOWN)
      if (buried !== null) await this.#store(sid, buried)
    }
  }

  /** Before memcached is asked. Rejects only where that is away: it is paid what it is owed first. */
  async #payFor(sid: string): Promise<void> {
    try {
      if (this.#debts.bars(sid)) await this.#debts.pay(sid)
    } catch (error) {
      if (!(error instanceof BackingError)) throw error
    }
  }

  #look(sid: string): Promise<SessionRecord> {
    return this.#called(sid, done => this.#front.read(sid, done)) as Promise<SessionRecord>
  }

  #putOver(
    sid: string,
    text: string,
    milliseconds: number,
    over: SessionRecord,
  ): Promise<SessionRecord | null> {
    return this.#called(sid, done => this.#front.write(sid, text, milliseconds, conditionOf(over), done))
  }

  #bury(sid: string, revokedAt: string, over: SessionRecord): Promise<SessionRecord | null> {
    return this.#called(sid, done => this.#front.writeTombstone(sid, revokedAt, conditionOf(over), done))
  }

  #called(sid: string, start: (done: RecordCallback) => void): Promise<SessionRecord | null> {
    return new Promise((resolve, reject) => {
      start((error, record) => (error === null ? resolve(record) : reject(this.#noted(sid, error))))
    })
  }

  /** After an outage all look behind that server for a while, whoever of this process has met it. */
  #noted(sid: string, error: MemcachedStoreError): MemcachedStoreError {
    this.#suspicion.note(this.#front.addressOf(sid), error)
    return error
  }
}

/** Milliseconds of a whole change: one that finds nothing in memcached asks the backing store, and then writes to it. */
export function patienceWith(timeout: number, backingTimeout: number): number {
  return timeout + 2 * backingTimeout
}

function settle(result: Promise<SessionRecord | null>, done: RecordCallback): void {
  result.then(
    record => done(null, record),
    (error: MemcachedStoreError) => done(error, null),
  )
}

/** Does it say that somebody is asking the backing store? */
export function isLease({ kind, text }: SessionRecord): boolean {
  return kind === 'stored' && text === LEASE
}

/** Does memcached say nothing of it, neither a session nor that it was destroyed? */
function isVacant(record: SessionRecord): boolean {
  return record.kind === 'missing' || isLease(record)
}

/** Where nothing is but a lease, that must still lie there. */
function conditionOf(over: SessionRecord): SessionRecord {
  return over.kind === 'missing' && over.version !== null
    ? new SessionRecord('stored', LEASE, over.version)
    : over
}

function wasReadAlone({ kind, version }: SessionRecord): boolean {
  return version === null && kind !== 'missing' && kind !== 'unknown'
}

/** What is owed where memcached has got it, and the backing store may have not. */
function debtOf({ kind, text }: SessionRecord): Debt {
  return kind === 'destroyed' ? { kind, revokedAt: text } : { kind: 'behind' }
}

/** Null where a condition did not hold. */
function isDone(result: SessionRecord | null): SessionRecord | null {
  return result === null || result.kind === 'missing' ? null : result
}

function tooMany(): MemcachedStoreError {
  return new MemcachedStoreError('ERR_CONFLICT', 'Too many overlapping changes of one session: try again')
}
