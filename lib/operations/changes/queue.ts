import { AsyncResource } from 'node:async_hooks'
import { asError, ConnectionLostError, MemcachedStoreError } from '../../errors.ts'
import { pause } from '../../pause.ts'
import { SessionRecord } from '../../storage/record.ts'
import type { Context, Done } from '../context.ts'
import { enlist, keepListed } from '../users/enlist.ts'
import { knownUser } from '../users/user-of.ts'
import type { Change, Decision, Draft } from './change.ts'
import { decide, type Entry, finish, newEntry } from './entry.ts'

/** Changes of one process are written as one, so this many lost races need many processes. */
const MOST_ATTEMPTS = 100
/** Milliseconds; the wait before another attempt is a random part of this at most. */
const LONGEST_PAUSE = 50
/** Milliseconds of work on one group before it is written: the event loop has others to serve. */
const LONGEST_WORK = 10
/** Deadlines are counted in so many ticks, so that a process that was busy itself first takes its results. */
const TICKS = 10

/** A read that waits for the last change that came before it. */
interface Reader {
  readonly task: () => void
  readonly after: Entry
  readonly deadline: number
}

/** What a group of changes comes to. */
interface Plan {
  readonly parts: readonly { readonly entry: Entry; readonly decision: Decision<unknown> }[]
  /** Null where nothing is to be written. */
  readonly draft: Draft | null
}

/** A write whose reply was lost. */
interface Lost {
  readonly plan: Plan
  readonly draft: Draft
  readonly over: SessionRecord
}

/**
 * The changes of one session in this process, in their order. One write is on its way at a time, on the
 * condition that what it was worked out on is still there; all that wait are in the next one. Where the
 * condition does not hold they are worked out again on what is stored.
 */
export class Queue {
  readonly #context: Context
  readonly #sid: string
  readonly #onIdle: () => void
  #group: Entry[] = []
  #waiting: Entry[] = []
  #readers: Reader[] = []
  #ticks = 0
  #ticker: NodeJS.Timeout | undefined

  constructor(context: Context, sid: string, onIdle: () => void) {
    this.#context = context
    this.#sid = sid
    this.#onIdle = onIdle
  }

  /** The first change: written at once where it has a guess. */
  begin(change: Change<unknown>, done: Done<unknown>): void {
    const entry = newEntry(change, done, null)
    this.#group = [entry]
    const { guess } = change
    if (guess === null) {
      this.#start(entry, null, null)
      return
    }
    const decision = decide(entry, guess)
    if (decision instanceof Promise || (decision.draft !== null && this.#isUnlisted(decision.draft, guess))) {
      this.#start(entry, guess, null)
      return
    }
    const plan: Plan = { parts: [{ entry, decision }], draft: decision.draft }
    const { draft } = plan
    if (draft === null) {
      // Not before this has returned.
      process.nextTick(() => this.#end(plan, guess, null))
      return
    }
    const over = draft.isBlind ? SessionRecord.UNKNOWN : guess
    const sentAt = performance.now()
    entry.sent = draft.record
    this.#write(draft, over, (error, result) => {
      if (isWritten(result)) {
        this.#end(plan, result, sentAt)
      } else if (error instanceof ConnectionLostError) {
        entry.deadline = this.#ticks + (TICKS * error.remaining) / this.#context.settings.timeout
        this.#start(entry, null, { plan, draft, over })
      } else if (error !== null) {
        this.#fail([entry], error)
        this.#next(null)
      } else {
        entry.sent = null
        this.#start(entry, result, null)
      }
    })
  }

  add(change: Change<unknown>, done: Done<unknown>): void {
    this.#push(newEntry(change, done, new AsyncResource('SESSION_CHANGE')))
  }

  wait(task: () => void): void {
    const after = (this.#waiting.at(-1) ?? this.#group.at(-1)) as Entry
    this.#ticker ??= setInterval(() => this.#tick(), this.#context.settings.timeout / TICKS)
    this.#readers.push({ task: AsyncResource.bind(task), after, deadline: this.#ticks + TICKS / 2 })
  }

  /** A change that had been set aside has decided: it goes on in this queue, which may be a new one. */
  resume(entry: Entry): void {
    const isFresh = this.#group.length === 0 && this.#waiting.length === 0
    this.#push(entry)
    if (isFresh) void this.#work(null, null)
  }

  #push(entry: Entry): void {
    this.#limit(entry)
    this.#waiting.push(entry)
  }

  /** The end of a write without a conflict: the hot path. */
  #end(plan: Plan, record: SessionRecord, seenAt: number | null): void {
    this.#settle(plan, record, seenAt)
    this.#next(record)
  }

  /** Goes on with those that wait; what lies there is known where nobody else has written. */
  #next(known: SessionRecord | null): void {
    if (this.#waiting.length === 0) this.#stop()
    else void this.#work(known, null)
  }

  #start(entry: Entry, known: SessionRecord | null, lost: Lost | null): void {
    this.#limit(entry)
    void this.#work(known, lost)
  }

  /** From its first wait on a change has the time of one operation. */
  #limit(entry: Entry): void {
    this.#ticker ??= setInterval(() => this.#tick(), this.#context.settings.timeout / TICKS)
    if (!entry.change.isPatient && entry.deadline === Infinity) entry.deadline = this.#ticks + TICKS
  }

  #stop(): void {
    this.#group = []
    clearInterval(this.#ticker)
    this.#onIdle()
    this.#release(() => true)
  }

  /** One group after the other, until nobody waits. Never rejects. */
  async #work(first: SessionRecord | null, unclear: Lost | null): Promise<void> {
    let known = first
    let lost = unclear
    do {
      try {
        known = await this.#carryOut(known, lost)
      } catch (thrown) {
        this.#fail(this.#group, asError(thrown))
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
    let listed: string | undefined
    for (let attempt = 0; ; attempt++) {
      if (attempt > 0) {
        counts.retries++
        await pause(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE))
      }
      this.#gather()
      if (this.#group.length === 0) return known
      let sentAt = performance.now()
      if (known === null) {
        try {
          known = await this.#look()
        } catch (error) {
          if (error instanceof ConnectionLostError) continue
          throw error
        }
      }
      if (lost !== null) {
        this.#sortOut(lost, known, sentAt)
        lost = null
      }
      const plan = await this.#plan(known)
      const { draft } = plan
      if (draft === null) {
        this.#settle(plan, known, sentAt)
        return known
      }
      if (draft.user !== listed && this.#isUnlisted(draft, known)) {
        await this.#list(plan, draft)
        listed = draft.user
        // Nobody is told of a failure and gets a session all the same.
        if (plan.parts.some(({ entry }) => entry.isOver)) continue
      }
      const over = draft.isBlind ? SessionRecord.UNKNOWN : known
      sentAt = performance.now()
      for (const { entry } of plan.parts) entry.sent = draft.record
      try {
        const result = await this.#put(draft, over)
        if (isWritten(result)) {
          this.#settle(plan, result, sentAt)
          return result
        }
        for (const { entry } of plan.parts) entry.sent = null
        known = result
      } catch (error) {
        if (!(error instanceof ConnectionLostError)) throw error
        lost = { plan, draft, over }
        known = null
      }
    }
  }

  /** Takes along who came meanwhile, and leaves out who is over, or has tried too often. */
  #gather(): void {
    const all = this.#group.concat(this.#waiting)
    this.#waiting = []
    const tired = all.filter(entry => !entry.isOver && entry.attempts++ >= MOST_ATTEMPTS)
    if (tired.length > 0) {
      this.#fail(
        tired,
        new MemcachedStoreError('ERR_CONFLICT', 'Too many overlapping changes of one session: try again'),
      )
    }
    this.#group = all.filter(entry => !entry.isOver)
  }

  /** What became of a write whose reply was lost. */
  #sortOut({ plan, draft, over }: Lost, known: SessionRecord, seenAt: number): void {
    if (known.isLike(draft.record)) {
      this.#settle(plan, known, seenAt)
      this.#group = this.#group.filter(entry => !entry.isOver)
      return
    }
    // It was not carried out, and cannot be any more: its condition is on a version that will be gone.
    const isUndone = known.isLike(over)
    for (const { entry } of plan.parts) {
      if (entry.isOver || entry.sent === null) continue
      if (!isUndone && entry.change.doubted?.(entry.sent) === 'fails') {
        this.#fail(
          [entry],
          new MemcachedStoreError(
            'ERR_UNAVAILABLE',
            'The connection broke while a session was written: whether it was stored is not known',
          ),
        )
      }
      entry.sent = null
    }
    this.#group = this.#group.filter(entry => !entry.isOver)
  }

  /** Works the changes out, each on what the one before it leaves. */
  async #plan(known: SessionRecord): Promise<Plan> {
    const parts: { entry: Entry; decision: Decision<unknown> }[] = []
    const end = performance.now() + LONGEST_WORK
    let current = known
    let draft = null as Draft | null
    const group = this.#group
    let at = 0
    for (; at < group.length && (parts.length === 0 || performance.now() < end); at++) {
      const entry = group[at] as Entry
      const decided = decide(entry, current)
      const decision = decided instanceof Promise ? await this.#inTime(entry, decided, current) : decided
      if (decision === null || entry.isOver) continue
      parts.push({ entry, decision })
      if (decision.draft === null) continue
      const isBlind = decision.draft.isBlind || (draft?.isBlind ?? false)
      draft = { ...decision.draft, isBlind }
      current = draft.record
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
  ): Promise<Decision<unknown> | null> {
    let timer: NodeJS.Timeout | undefined
    const patience = this.#context.settings.timeout / 2
    const late = new Promise<null>(resolve => {
      timer = setTimeout(resolve, patience, null)
    })
    const decision = await Promise.race([decided, late])
    clearTimeout(timer)
    if (decision !== null) return decision
    const expiry = entry.change.isPatient ? undefined : setTimeout(() => this.#expire(entry), patience)
    void decided.then(found => {
      clearTimeout(expiry)
      if (entry.isOver) return
      entry.late = { on, decision: found }
      this.#context.changes.resume(this.#context, this.#sid, entry)
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
      this.#write(draft, over, (error, result) => {
        if (error !== null) reject(error)
        else resolve(result)
      })
    })
  }

  #write(
    { record, lifetime }: Draft,
    over: SessionRecord,
    done: (error: MemcachedStoreError | null, result: WriteResult) => void,
  ): void {
    const { sessions } = this.#context
    if (lifetime === null) sessions.bury(this.#sid, record.text, done)
    else sessions.write(this.#sid, record.text, lifetime.left + lifetime.slack, over, done)
  }

  /** Is it about to become a session of somebody whose index need not hold it yet? */
  #isUnlisted({ user, isListed }: Draft, known: SessionRecord): boolean {
    if (user === undefined || isListed) return false
    const { codec, settings } = this.#context
    const stored = known.kind === 'stored' ? codec.decode(known.text) : null
    return stored === null || knownUser(settings, stored) !== user
  }

  async #list({ parts }: Plan, { user, lifetime }: Draft): Promise<void> {
    if (user === undefined || lifetime === null) return
    const at = await enlist(this.#context, user, this.#sid, lifetime)
    for (const { entry } of parts) entry.change.listed?.(at)
  }

  /** @param seenAt - when that lay there, at the earliest; null where it is only what a request has read once. */
  #settle({ parts, draft }: Plan, record: SessionRecord, seenAt: number | null): void {
    const { counts, emit, touched } = this.#context
    if (draft !== null) {
      if (draft.lifetime === null) touched.forget(this.#sid)
      else keepListed(this.#context, draft.user, this.#sid, draft.lifetime)
    }
    for (const { entry, decision } of parts) {
      if (entry.isOver) continue
      const { error, outcome } = decision
      entry.sent = null
      if (error === undefined && seenAt !== null) entry.change.settled?.(decision, record, seenAt)
      if (decision.draft !== null) counts.writes++
      if (outcome !== undefined) {
        counts.conflicts++
        if (outcome === 'merged') counts.merges++
        emit('conflict', this.#sid, { outcome })
      }
      finish(entry, error ?? null, decision.result)
    }
    this.#release(({ after }) => after.isOver)
  }

  #fail(entries: readonly Entry[], error: Error): void {
    for (const entry of entries) {
      if (entry.isOver) continue
      entry.change.failed?.(entry.sent)
      finish(entry, error, undefined)
    }
    this.#release(({ after }) => after.isOver)
  }

  #expire(entry: Entry): void {
    const { timeout } = this.#context.settings
    this.#fail(
      [entry],
      new MemcachedStoreError('ERR_TIMEOUT', `A session was not changed within ${timeout} ms`),
    )
  }

  #release(isFree: (reader: Reader) => boolean): void {
    if (this.#readers.length === 0) return
    const free = this.#readers.filter(isFree)
    this.#readers = this.#readers.filter(reader => !isFree(reader))
    for (const { task } of free) task()
  }

  #tick(): void {
    this.#ticks++
    for (const entries of [this.#group, this.#waiting]) {
      for (const entry of entries) if (entry.deadline <= this.#ticks) this.#expire(entry)
    }
    this.#release(({ deadline }) => deadline <= this.#ticks)
  }
}

/** What lies there now; where nothing was written, that nothing does, or null where it has changed. */
type WriteResult = SessionRecord | null

function isWritten(result: WriteResult): result is SessionRecord {
  return result !== null && result.kind !== 'missing'
}
