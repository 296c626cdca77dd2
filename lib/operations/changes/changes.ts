import { ConnectionLostError, closedError } from '../../errors.ts'
import { letGo } from '../../storage/kept-text.ts'
import { SessionRecord } from '../../storage/record.ts'
import { checkId } from '../../storage/session-id.ts'
import { traceHere } from '../../tracing.ts'
import type { ChangeQueues, Context, Read } from '../context.ts'
import type { Done } from '../done.ts'
import type { Change, Decision, Draft } from './change.ts'
import { decide, Entry } from './entry.ts'
import { Queue } from './queue.ts'
import { fail, follow, isUnlisted, isWritten, settle, write } from './settle.ts'

/** So many changes share a Map: see {@link Changes}, `#forget`. */
const MAX_USES = 1000

/**
 * The changes of all sessions. The first of a session is written at once, on what its request read; those
 * that come meanwhile wait in a queue, are worked out together, and written as one.
 */
export class Changes implements ChangeQueues {
  /** What is under way, by session id: one change that was first, or a queue. */
  #busy: Map<string, Entry | Queue> = new Map()
  #forgotten = 0
  /** Set aside, since a function of the application takes its time. */
  readonly #aside: Set<Entry> = new Set()

  /** @throws TypeError - for an id that is no string. */
  submit<T>(context: Context, sid: string, change: Change<T>, done: Done<T>): void {
    checkId(sid)
    const busy = this.#busy.get(sid)
    if (busy !== undefined) {
      traceWait()
      this.#queue(context, sid, busy).add(change as Change<unknown>, done as Done<unknown>)
    } else this.#begin(context, sid, new Entry(sid, change as Change<unknown>, done as Done<unknown>, null))
  }

  /**
   * Runs a read now, or when the changes that came before it have ended, so that what was saved is read.
   * It waits for half the timeout at most: then it goes ahead, as one of another process would.
   */
  read<T>(context: Context, sid: string, done: Done<T>, ask: Read<T>): void {
    const busy = this.#busy.size === 0 ? undefined : this.#busy.get(sid)
    if (busy === undefined) {
      ask(context, sid, done)
      return
    }
    traceWait()
    // Bound: a closure would cost each read the context of this call.
    this.#queue(context, sid, busy).wait(ask.bind(null, context, sid), done)
  }

  abandon(): void {
    fail(Array.from(this.#aside), closedError())
    this.#aside.clear()
  }

  /** Goes on with a change that had been set aside. */
  #resume(context: Context, sid: string, entry: Entry): void {
    this.#aside.delete(entry)
    if (entry.isOver) return
    const busy = this.#busy.get(sid)
    if (busy !== undefined) this.#queue(context, sid, busy).push(entry)
    else this.#queue(context, sid, entry).start(null, null)
  }

  /** The queue of a session, with what is under way as its first. */
  #queue(context: Context, sid: string, busy: Entry | Queue): Queue {
    if (busy instanceof Queue) return busy
    const queue = new Queue(context, sid, busy, {
      idle: () => this.#forget(sid),
      setAside: entry => this.#aside.add(entry),
      resume: entry => this.#resume(context, sid, entry),
    })
    this.#busy.set(sid, queue)
    return queue
  }

  /** The hot path: no queue, and no look where the change has a guess. */
  #begin(context: Context, sid: string, entry: Entry): void {
    const { guess } = entry.change
    const decision = guess === null ? null : decide(entry, guess)
    if (guess === null || decision === null || decision instanceof Promise) {
      this.#queue(context, sid, entry).begin(guess)
      return
    }
    const { draft } = decision
    if (draft === null) {
      this.#busy.set(sid, entry)
      this.#endSoon(context, sid, entry, decision)
    } else if (isUnlisted(context, draft, guess)) {
      this.#queue(context, sid, entry).begin(guess)
    } else {
      this.#busy.set(sid, entry)
      this.#write(context, sid, entry, decision, draft.isBlind ? SessionRecord.UNKNOWN : guess)
    }
  }

  #write(
    context: Context,
    sid: string,
    entry: Entry,
    decision: Decision<unknown>,
    over: SessionRecord,
  ): void {
    const draft = decision.draft as Draft
    const sentAt = performance.now()
    entry.sent = draft
    entry.attempts++
    write(context, sid, draft, over, (error, result) => {
      if (isWritten(result)) {
        follow(context, sid, draft)
        settle(context, entry, decision, result, sentAt)
        // Those that came meanwhile go on from what was written.
        if (this.#busy.get(sid) === entry) letGo(draft.content)
        this.#leave(sid, result)
      } else if (error === null) {
        entry.sent = null
        this.#queue(context, sid, this.#busy.get(sid) as Entry | Queue).start(result, null)
      } else if (error instanceof ConnectionLostError) {
        const lost = {
          plan: { parts: [{ entry, decision }], draft },
          draft,
          over,
          error,
        }
        this.#queue(context, sid, this.#busy.get(sid) as Entry | Queue).start(null, lost)
      } else {
        fail([entry], error)
        this.#leave(sid, null)
      }
    })
  }

  /** Nothing is to be written. Not before its caller has returned. */
  #endSoon(context: Context, sid: string, entry: Entry, decision: Decision<unknown>): void {
    process.nextTick(() => {
      settle(context, entry, decision, SessionRecord.UNKNOWN, null)
      this.#leave(sid, null)
    })
  }

  /** The first change has ended: those that came meanwhile go on, on what lies there, if that is known. */
  #leave(sid: string, known: SessionRecord | null): void {
    const busy = this.#busy.get(sid)
    if (busy instanceof Queue) busy.start(known, null)
    else this.#forget(sid)
  }

  /**
   * A Map outgrows its table again and again, even where it stays small. Each table keeps the next one alive, so
   * that after an old one everything that was ever in the Map survives until the next great collection: 0.2 µs of
   * a save. Those of another Map are free to go.
   */
  #forget(sid: string): void {
    this.#busy.delete(sid)
    if (++this.#forgotten < MAX_USES + this.#busy.size) return
    this.#forgotten = 0
    this.#busy = new Map(this.#busy)
  }
}

function traceWait(): void {
  const trace = traceHere()
  if (trace !== undefined) trace.waited = true
}
