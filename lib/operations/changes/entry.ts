import type { AsyncResource } from 'node:async_hooks'
import { asError } from '../../errors.ts'
import type { SessionRecord } from '../../storage/record.ts'
import type { Done } from '../done.ts'
import type { Change, Decision, Draft } from './change.ts'

/** A change, and who waits for it. */
export class Entry {
  readonly sid: string
  change: Change<unknown>
  done: Done<unknown>
  /** Whose async context its functions and its end belong to; null for the one that runs already. */
  readonly resource: AsyncResource | null
  /** The tick of its queue at which it has failed. */
  deadline: number = Infinity
  attempts = 0
  /** What it was sent as, while it is not known whether that was stored. */
  sent: Draft | null = null
  /** What it decided on something, where that took long. */
  late: { readonly on: SessionRecord; readonly decision: Decision<unknown> } | null = null
  isOver = false

  constructor(sid: string, change: Change<unknown>, done: Done<unknown>, resource: AsyncResource | null) {
    this.sid = sid
    this.change = change
    this.done = done
    this.resource = resource
  }
}

/** What the change makes of this, in the async context of its caller. Never throws, nor rejects. */
export function decide(entry: Entry, current: SessionRecord): Decision<unknown> | Promise<Decision<unknown>> {
  const { change, resource, late } = entry
  if (late?.on.isLike(current) === true) return late.decision
  try {
    const decision =
      resource === null ? change.apply(current) : resource.runInAsyncScope(() => change.apply(current))
    return decision instanceof Promise ? decision.catch(toDecision) : decision
  } catch (thrown) {
    return toDecision(thrown)
  }
}

function toDecision(thrown: unknown): Decision<unknown> {
  return { draft: null, error: asError(thrown) }
}

/** Tells its caller. */
export function finish(entry: Entry, error: Error | null, result: unknown): void {
  const { resource, done } = entry
  entry.isOver = true
  // A Map that has shrunk keeps what was in it until the next great collection, and so all that this holds.
  entry.change = OVER
  entry.done = ignore
  if (resource === null) done(error, result)
  else resource.runInAsyncScope(done, null, error, result)
}

const OVER: Change<unknown> = { guess: null, isPatient: true, isOnce: false, apply: () => ({ draft: null }) }

function ignore(): void {}
