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

/**
 * One operation, as subscribers of the tracing channel `express-session-memcached` get it
 * (`node:diagnostics_channel`): the same object at `start`, `end`, `asyncStart`, `asyncEnd` and `error`. What is
 * known only later is there from `asyncStart` on. It never holds an id, a key or content.
 */
export interface OperationTrace {
  /** The method that was called. */
  readonly operation: OperationName
  /** Where the session lives, as the option `servers` names it; undefined for an operation on more than one. */
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
  /** Had it to wait for other changes of the same session in this process? */
  waited?: boolean | undefined
  /** What it failed with. */
  error?: Error | undefined
}

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
  start: (done: (error: Error | null, value?: T) => void) => void,
  done: (error: Error | null, value?: T) => void,
): void {
  isUsed = true
  const outside = current.getStore()
  const trace: OperationTrace = { operation, server }
  const finish = (error: Error | null, value?: T): void => {
    if (error !== null) {
      trace.error = error
      channel.error.publish(trace)
    }
    current.run(outside, () => {
      channel.asyncStart.runStores(trace, done, undefined, error, value)
      channel.asyncEnd.publish(trace)
    })
  }
  channel.start.runStores(trace, () => {
    current.run(server === undefined ? undefined : trace, () => {
      try {
        start(finish)
      } catch (thrown) {
        process.nextTick(finish, asError(thrown))
      }
    })
  })
  channel.end.publish(trace)
}

/** The trace of the operation that this is a step of. */
export function traceHere(): OperationTrace | undefined {
  return isUsed ? current.getStore() : undefined
}
