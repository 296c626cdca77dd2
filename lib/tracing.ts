import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { asError } from './errors.ts'
import type { ConflictOutcome } from './events.ts'

/** Methods of the store that are traced. */
export type OperationName =
  | 'get'
  | 'getMany'
  | 'set'
  | 'touch'
  | 'destroy'
  | 'update'
  | 'sessionsOf'
  | 'destroyAllOf'
  | 'all'
  | 'ids'
  | 'length'
  | 'clear'
  | 'stats'
  | 'sessions'
  | 'withLock'
  | 'exclusive'

/**
 * One operation, as subscribers of the tracing channel `express-session-memcached` get it
 * (`node:diagnostics_channel`): the same object at `start`, `end`, `asyncStart`, `asyncEnd` and `error`. What is
 * known only later is there from `asyncStart` on. It never holds an id, a key or content.
 */
export interface OperationTrace {
  /** The method that was called. */
  readonly operation: OperationName
  /** Where the session, or its lock, lives, as the option `servers` names it; undefined for an operation on more than one. */
  readonly server: string | undefined
  /**
   * What came of it, for an operation on one session: `'unchanged'` where nothing had to be written, `'missing'`
   * where there was no session. Undefined where it failed.
   */
  outcome?: 'found' | 'missing' | 'written' | 'unchanged' | 'destroyed' | undefined
  /** How it ended where it met another change of the same session. */
  conflict?: ConflictOutcome | undefined
  /** Bytes of the session's text, read or written, in UTF-8. */
  bytes?: number | undefined
  /** Writes that were sent, with those of which the condition did not hold. */
  attempts?: number | undefined
  /** Had it to wait for other changes of the same session in this process, or for its lock? */
  waited?: boolean | undefined
  /** What it failed with. */
  error?: Error | undefined
}

type Done<T> = (error: Error | null, value?: T) => void

const channel = tracingChannel<OperationTrace, OperationTrace>('express-session-memcached')
/** The operation on one session that is under way; undefined inside operations on many. */
const current = new AsyncLocalStorage<OperationTrace | undefined>()
/** Has anybody ever listened? Until then nothing is looked up. */
let isUsed = false

/** Does anybody listen? */
export function isTraced(): boolean {
  return channel.start.hasSubscribers || channel.asyncEnd.hasSubscribers || channel.error.hasSubscribers
}

/** Runs an operation that somebody listens to. `start` may throw, and calls back later. */
export function traceOperation<T>(
  operation: OperationName,
  server: string | undefined,
  start: (done: Done<T>) => void,
  done: Done<T>,
): void {
  isUsed = true
  const trace: OperationTrace = { operation, server }
  follow(trace, server === undefined ? undefined : trace, start, done)
}

/** The same for what gives a promise, and notes itself what there is to be told of it. */
export function traceTask<T>(
  operation: OperationName,
  server: string | undefined,
  run: (trace: OperationTrace) => Promise<T>,
): Promise<T> {
  const trace: OperationTrace = { operation, server }
  return new Promise((resolve, reject) => {
    follow<T>(
      trace,
      undefined,
      done => {
        run(trace).then(
          value => done(null, value),
          (thrown: unknown) => done(asError(thrown)),
        )
      },
      (error, value) => (error === null ? resolve(value as T) : reject(error)),
    )
  })
}

/** The same for what is listed: from the first step of its consumer to the last. */
export async function* traceListing<T>(
  operation: OperationName,
  listed: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const trace: OperationTrace = { operation, server: undefined }
  channel.start.publish(trace)
  channel.end.publish(trace)
  try {
    yield* listed
  } catch (thrown) {
    fail(trace, asError(thrown))
    throw thrown
  } finally {
    channel.asyncStart.publish(trace)
    channel.asyncEnd.publish(trace)
  }
}

/** @param inside - what steps of the operation find with {@link traceHere}. */
function follow<T>(
  trace: OperationTrace,
  inside: OperationTrace | undefined,
  start: (done: Done<T>) => void,
  done: Done<T>,
): void {
  const outside = current.getStore()
  const finish: Done<T> = (error, value) => {
    if (error !== null) fail(trace, error)
    current.run(outside, () => {
      channel.asyncStart.runStores(trace, done, undefined, error, value)
      channel.asyncEnd.publish(trace)
    })
  }
  channel.start.runStores(trace, () => {
    current.run(inside, () => {
      try {
        start(finish)
      } catch (thrown) {
        process.nextTick(finish, asError(thrown))
      }
    })
  })
  channel.end.publish(trace)
}

function fail(trace: OperationTrace, error: Error): void {
  trace.error = error
  channel.error.publish(trace)
}

/** The trace of the operation that this is a step of. */
export function traceHere(): OperationTrace | undefined {
  return isUsed ? current.getStore() : undefined
}
