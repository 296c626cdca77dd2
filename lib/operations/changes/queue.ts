import { AsyncResource } from 'node:async_hooks'
import { asError, ConnectionLostError, MemcachedStoreError } from '../../errors.ts'
import { pause } from '../../pause.ts'
import { SessionRecord } from '../../storage/record.ts'
import type { Context } from '../context.ts'
import type { Done } from '../done.ts'
import type { Change, Decision, Draft } from './change.ts'
import { decide, Entry } from './entry.ts'
import { Reader } from './reader.ts'
import { fail, follow, isUnlisted, isWritten, settle, type WriteResult, write } from './settle.ts'

/** Changes of one process are written as one, so this many lost races need many processes. */
const MAX_ATTEMPTS = 100
/** Milliseconds; the wait before another attempt is a random part of this at most. */
const MAX_PAUSE = 16
/** Milliseconds of work on one group before it is written: the event loop has others to serve. */
const MAX_WORK = 10
/** Deadlines are counted in so many ticks, so that a process that was busy itself first takes its results. */
const TICKS = 10

const TOO_MANY = 'Too many overlapping changes of one session: try again'
const NEEDS_MEMCACHED = '`update` needs memcached, which is away: the backing store alone keeps no others out'
const UNCLEAR =
  'A write was cut off, and others may have changed the session since: whether `update` was stored is not known'

/** What a group of changes comes to. */
interface Plan {
  readonly parts: readonly { readonly entry: Entry; readonly decision: Decision<unknown> }[]
  /** Null where nothing is to be written. */
  readonly draft: Draft | null
}

/** A write whose reply was lost. */
export interface Lost {
  readonly plan: Plan
  readonly draft: Draft
  readonly over: SessionRecord
  /** Tells how long there is to find out. */
  readonly error: ConnectionLostError
}

/** Told by a queue. */
export interface QueueOwner {
  /** Nobody waits any more. */
  idle(): void
  /** A change waits for a function of the application, outside of the queue. */
  setAside(entry: Entry): void
  /** That can go on, unless it is over. */
  resume(entry: Entry): void
}

/**
 * The changes of one session in this process, in their order. One write is on its way at a time, on the
 * condition that what it was worked out on is still there; all that wait are in the next one. Where the
 * condition does not hold they are worked out again on what is stored.
 */
export class Queue {
  readonly #context: Context
  readonly #sid: string
  readonly #owner: QueueOwner
  #group: Entry[]
  #waiting: Entry[] = []
  /** Those that wait, and those that have gone ahead. */
  #readers: Reader[] = []
  readonly #asking: Set<Reader> = new Set()
  #ticks = 0
  /** Counts the ticks in which nothing gets on, and a tenth of the others. */
  #idleTicks = 0
  #getsOn = false
  /** Is what the group is worked out on no more than what one request has read once? */
  #isGuess = false
  readonly #ticker: NodeJS.Timeout
  #isStopped = false

  /** @param first - what is under way. */
  constructor(context: Context, sid: string, first: Entry, owner: QueueOwner) {
    this.#context = context
    this.#sid = sid
    this.#group = [first]
    this.#owner = owner
    this.#ticker = setInterval(() => this.#tick(), context.settings.timeout / TICKS)
  }

  /** What was to be first cannot go ahead alone: it, and all that come, are worked out on what it guesses. */
  begin(guess: SessionRecord | null): void {
    this.#isGuess = true
    this.start(guess, null)
  }

  /** What was under way has ended, or could not: goes on, with what lies there, if that is known. */
  start(known: SessionRecord | null, lost: Lost | null): void {
    this.#group = this.#group.filter(entry => !entry.isOver)
    for (const entry of this.#group) this.#limit(entry, lost?.error.remaining)
    this.#release(({ after }) => after.isOver)
    if (this.#group.length + this.#waiting.length === 0) this.#stop()
    else void this.#work(known, lost)
  }

  add(change: Change<unknown>, done: Done<unknown>): void {
    this.push(new Entry(this.#sid, change, done, new AsyncResource('SESSION_CHANGE')))
  }

  /** A read: it waits for half the timeout at most. */
  wait<T>(ask: (done: Done<T>) => void, done: Done<T>): void {
    const after = this.#waiting.at(-1) ?? this.#group.at(-1)
    // The last has just been told that it failed, and asks.
    if (after === undefined) {
      ask(done)
      return
    }
    const { sessions, settings } = this.#context
    const patience = this.#ticks + TICKS / 2
    const deadline = this.#ticks + (TICKS * sessions.readPatience) / settings.timeout
    this.#readers.push(new Reader(ask, done, after, { patience, deadline }) as Reader)
  }

  push(entry: Entry): void {
    this.#limit(entry)
    this.#waiting.push(entry)
  }

  /** From its first wait on a change has the time of one operation; or what is left of it, in milliseconds. */
  #limit(entry: Entry, left: number = this.#context.sessions.patience): void {
    if (entry.change.isPatient || entry.deadline !== Infinity) return
    entry.deadline = this.#idleTicks + (TICKS * left) / this.#context.settings.timeout
  }

  #stop(): void {
    this.#group = []
    this.#owner.idle()
    this.#release(() => true)
    this.#isStopped = true
    this.#rest()
  }

  /** Unless reads have gone ahead, which have deadlines yet. */
  #rest(): void {
    if (this.#isStopped && this.#asking.size === 0) clearInterval(this.#ticker)
  }

  /** One group after the other, until nobody waits. Never rejects. */
  async #work(first: SessionRecord | null, unclear: Lost | null): Promise<void> {
    let known = first
    let lost = unclear
    do {
      try {
        known = await this.#carryOut(known, lost)
      } catch (thrown) {
        fail(this.#group, asError(thrown))
        this.#release(({ after }) => after.isOver)
        known = null
      }
      lost = null
      this.#group = []
    } while (this.#waiting.length > 0)
    this.#stop()
  }

  /** Brings the group, with all that join it, to its end. Gives what lies there then, if that is known. */
  async #carryOut(first: SessionRecord | null, unclear: Lost | null): Promise<SessionRecord | null> {
    const { counts } = this.#context
    let known = first
    let lost = unclear
    let seen: SessionRecord | null = null
    let seenAt = 0
    let listed: string | undefined
    for (let attempt = 0; ; attempt++) {
      if (attempt > 0) {
        counts.retries++
        await pause(Math.random() * Math.min(2 ** attempt, MAX_PAUSE))
      }
      this.#gather()
      if (this.#group.length === 0) return known
      let sentAt = performance.now()
      if (known === null || !known.isCertain) {
        try {
          seen = await this.#look()
          seenAt = sentAt
          known = seen
          this.#isGuess = false
        } catch (error) {
          if (error instanceof ConnectionLostError) continue
          throw error
        }
      }
      if (known.isWithoutMemcached) this.#refuseOnce()
      if (this.#group.length === 0) return known
      if (lost !== null) {
        this.#sortOut(lost, known, sentAt)
        lost = null
      }
      // The shorter it takes, the less of it is in vain where other processes write, too.
      const plan = await this.#plan(known, MAX_WORK / (attempt + 1))
      const { draft } = plan
      if (
        draft === null &&
        (this.#isGuess || (this.#isPast(known) && (known !== seen || !this.#isPast(known, seenAt))))
      ) {
        // No write shows whether that is what lies there: who has made the guess may be over, and what has been written,
        // or has ended while the answer was on its way, may have been given a longer life since.
        known = null
        continue
      }
      if (draft === null) {
        this.#settle(plan, known, sentAt)
        return known
      }
      if (draft.user !== listed && isUnlisted(this.#context, draft, known)) {
        await this.#list(plan, draft)
        listed = draft.user
        // Nobody is told of a failure and gets a session all the same.
        if (plan.parts.some(({ entry }) => entry.isOver)) continue
      }
      const over = draft.isBlind ? SessionRecord.UNKNOWN : known
      sentAt = performance.now()
      for (const { entry, decision } of plan.parts) {
        if (decision.draft !== null) entry.sent = draft
        entry.attempts++
      }
      try {
        const result = await this.#put(draft, over)
        this.#isGuess = false
        if (isWritten(result)) {
          this.#settle(plan, result, sentAt)
          return result
        }
        for (const { entry } of plan.parts) entry.sent = null
        // Somebody else's has been written.
        this.#getsOn = true
        known = result
      } catch (error) {
        if (!(error instanceof ConnectionLostError)) throw error
        lost = { plan, draft, over, error }
        known = null
      }
    }
  }

  /** Is its time over, or was it over by then (`performance.now()`)? */
  #isPast({ kind, text }: SessionRecord, at?: number): boolean {
    const { codec, expiry } = this.#context
    const session = kind === 'stored' ? codec.decode(text) : null
    return session !== null && expiry.judge(session, at) === 'over'
  }

  /** Takes along who came meanwhile, and leaves out who is over, or has tried too often. */
  #gather(): void {
    const all = this.#group.concat(this.#waiting)
    this.#waiting = []
    const tired = all.filter(({ attempts }) => attempts >= MAX_ATTEMPTS)
    fail(tired, new MemcachedStoreError('ERR_CONFLICT', TOO_MANY))
    this.#group = all.filter(entry => !entry.isOver)
  }

  /** Others cannot be kept out there, so that what must not be done twice might be. */
  #refuseOnce(): void {
    const refused = this.#group.filter(({ change }) => change.isOnce)
    fail(refused, new MemcachedStoreError('ERR_UNAVAILABLE', NEEDS_MEMCACHED))
    this.#group = this.#group.filter(entry => !entry.isOver)
  }

  /** What became of a write whose reply was lost. */
  #sortOut({ plan, draft, over, error: cause }: Lost, known: SessionRecord, seenAt: number): void {
    // It was not carried out, and cannot be any more: its condition is on a version that will be gone.
    const isUndone = known.isLike(over)
    // Or somebody else has written the same, which is as good, but for what must not be done twice.
    const isDone = known.isLike(draft)
    const parts = plan.parts.filter(({ entry }) => !entry.isOver && entry.sent !== null)
    if (!isUndone) {
      const unclear = parts.filter(({ entry }) => entry.change.isOnce).map(({ entry }) => entry)
      fail(unclear, new MemcachedStoreError('ERR_UNAVAILABLE', UNCLEAR, { cause }))
      if (isDone) this.#settle({ parts, draft }, known, seenAt)
      else for (const { entry } of parts) entry.change.doubted?.(entry.sent as Draft)
    }
    for (const { entry } of parts) entry.sent = null
    this.#group = this.#group.filter(entry => !entry.isOver)
  }

  /** Works the changes out, each on what the one before it leaves. */
  async #plan(known: SessionRecord, time: number): Promise<Plan> {
    const parts: { entry: Entry; decision: Decision<unknown> }[] = []
    const now = performance.now()
    const end = now + time
    // All their functions together: others wait behind them.
    const patience = now + this.#context.settings.timeout / 4
    let current = known
    let draft = null as Draft | null
    const group = this.#group
    for (const { change } of group) change.planned?.(null)
    let at = 0
    for (; at < group.length && (parts.length === 0 || performance.now() < end); at++) {
      const entry = group[at] as Entry
      const decided = decide(entry, current)
      const decision =
        decided instanceof Promise ? await this.#inTime(entry, decided, current, patience) : decided
      if (decision === null || entry.isOver) continue
      parts.push({ entry, decision })
      if (decision.draft === null) continue
      const isBlind = decision.draft.isBlind || (draft?.isBlind ?? false)
      const isListed = decision.draft.isListed && (draft?.isListed ?? true)
      draft = { ...decision.draft, isBlind, isListed }
      current = new SessionRecord(draft.kind, draft.content, null)
      entry.change.planned?.(draft)
    }
    this.#group = parts.map(({ entry }) => entry)
    this.#waiting = group.slice(at).concat(this.#waiting)
    return { parts, draft }
  }

  /**
   * Waits for a function of the application, but not for ever: others go ahead, and the change comes back
   * when it has decided. Its decision holds where things are still as it saw them.
   */
  async #inTime(
    entry: Entry,
    decided: Promise<Decision<unknown>>,
    on: SessionRecord,
    patience: number,
  ): Promise<Decision<unknown> | null> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<null>(resolve => {
      timer = setTimeout(resolve, Math.max(patience - performance.now(), 0), null)
    })
    const decision = await Promise.race([decided, late])
    clearTimeout(timer)
    if (decision !== null) return decision
    const { timeout } = this.#context.settings
    const expiry = entry.change.isPatient
      ? undefined
      : setTimeout(
          () => {
            this.#expire(entry)
            this.#owner.resume(entry)
          },
          (timeout * 3) / 4,
        )
    this.#owner.setAside(entry)
    void decided.then(found => {
      clearTimeout(expiry)
      entry.late = { on, decision: found }
      this.#owner.resume(entry)
    })
    return null
  }

  #look(): Promise<SessionRecord> {
    return new Promise((resolve, reject) => {
      this.#context.sessions.read(this.#sid, (error, record) => {
        if (error !== null) reject(error)
        else resolve(record as SessionRecord)
      })
    })
  }

  #put(draft: Draft, over: SessionRecord): Promise<WriteResult> {
    return new Promise((resolve, reject) => {
      write(this.#context, this.#sid, draft, over, (error, result) => {
        if (error !== null) reject(error)
        else resolve(result)
      })
    })
  }

  async #list({ parts }: Plan, { user, lifetime }: Draft): Promise<void> {
    const { users } = this.#context
    if (users === undefined || user === undefined || lifetime === null) return
    const at = await users.enlist(user, this.#sid, lifetime)
    for (const { entry } of parts) entry.change.listed?.(at)
  }

  #settle({ parts, draft }: Plan, record: SessionRecord, seenAt: number): void {
    this.#getsOn = true
    if (draft !== null) follow(this.#context, this.#sid, draft)
    for (const { entry, decision } of parts) settle(this.#context, entry, decision, record, seenAt)
    this.#release(({ after }) => after.isOver)
  }

  #expire(entry: Entry): void {
    const { timeout } = this.#context.settings
    fail([entry], new MemcachedStoreError('ERR_TIMEOUT', `A session was not changed within ${timeout} ms`))
  }

  #release(isFree: (reader: Reader) => boolean): void {
    if (this.#readers.length === 0) return
    const free = this.#readers.filter(isFree)
    this.#readers = this.#readers.filter(reader => !isFree(reader))
    for (const reader of free) {
      this.#asking.add(reader)
      reader.goAhead(() => this.#ended(reader))
    }
  }

  #ended(reader: Reader): void {
    this.#asking.delete(reader)
    this.#rest()
  }

  #expireReads(): void {
    const { timeout } = this.#context.settings
    for (const reader of this.#asking) {
      if (reader.deadline > this.#ticks) continue
      this.#ended(reader)
      reader.fail(new MemcachedStoreError('ERR_TIMEOUT', `A session was not read within ${timeout} ms`))
    }
  }

  #tick(): void {
    this.#ticks++
    // A crowd may take longer than one timeout, but each has its turn.
    this.#idleTicks += this.#getsOn ? 0.1 : 1
    this.#getsOn = false
    for (const entries of [this.#group, this.#waiting]) {
      for (const entry of entries) if (entry.deadline <= this.#idleTicks) this.#expire(entry)
    }
    this.#release(({ patience }) => patience <= this.#ticks)
    this.#expireReads()
  }
}
