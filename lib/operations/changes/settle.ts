import type { MemcachedStoreError } from '../../errors.ts'
import { textOf } from '../../storage/kept-text.ts'
import type { SessionRecord } from '../../storage/record.ts'
import { traceHere } from '../../tracing.ts'
import { knownUser } from '../../users/user-of.ts'
import type { Context } from '../context.ts'
import type { Decision, Draft } from './change.ts'
import { type Entry, finish } from './entry.ts'

/** What lies there now; where nothing was written, that nothing does, or null where it has changed. */
export type WriteResult = SessionRecord | null

/** Writes a draft on the condition that this is still there. */
export function write(
  { sessions }: Context,
  sid: string,
  { content, lifetime }: Draft,
  over: SessionRecord,
  done: (error: MemcachedStoreError | null, result: WriteResult) => void,
): void {
  if (lifetime === null) sessions.writeTombstone(sid, textOf(content), over, done)
  else sessions.write(sid, content, lifetime.left + lifetime.slack, over, done)
}

export function isWritten(result: WriteResult): result is SessionRecord {
  return result !== null && result.kind !== 'missing'
}

/** Is it about to become a session of somebody whose index need not hold it yet? */
export function isUnlisted(
  { codec, settings }: Context,
  { user, isListed }: Draft,
  known: SessionRecord,
): boolean {
  if (user === undefined || isListed) return false
  const stored = known.kind === 'stored' ? codec.decode(known.text) : null
  return stored === null || knownUser(settings, stored) !== user
}

/** A draft has been written: what goes on beside the request. */
export function follow(context: Context, sid: string, { lifetime, user }: Draft): void {
  if (lifetime === null) context.touched.forget(sid)
  else context.users?.keepListed(user, sid, lifetime)
}

/**
 * A change is done, and this lies there: its caller is told.
 *
 * @param seenAt - when that lay there, at the earliest; null where it is only what a request has read once.
 */
export function settle(
  { counts, emit }: Context,
  entry: Entry,
  decision: Decision<unknown>,
  record: SessionRecord,
  seenAt: number | null,
): void {
  if (entry.isOver) return
  const { draft, error, outcome, result } = decision
  entry.sent = null
  if (error === undefined && seenAt !== null) entry.change.settled?.(decision, record, seenAt)
  if (draft !== null) counts.writes++
  if (outcome !== undefined) {
    counts.conflicts++
    if (outcome === 'merged') counts.merges++
    emit('conflict', entry.sid, { outcome })
  }
  traceChange(entry, decision)
  finish(entry, error ?? null, result)
}

/** Tells whoever listens to this change's operation, in whose async context this need not run. */
function traceChange(entry: Entry, { draft, error, outcome }: Decision<unknown>): void {
  const trace = entry.resource === null ? traceHere() : entry.resource.runInAsyncScope(traceHere)
  if (trace === undefined) return
  trace.attempts = entry.attempts
  if (outcome !== undefined) trace.conflict = outcome
  if (error !== undefined) return
  trace.outcome = draft === null ? 'unchanged' : draft.kind === 'stored' ? 'written' : 'destroyed'
  if (draft?.kind === 'stored') trace.bytes = Buffer.byteLength(draft.content)
}

/** These changes have failed, and their callers are told. */
export function fail(entries: readonly Entry[], error: Error): void {
  for (const entry of entries) {
    if (entry.isOver) continue
    entry.change.failed?.(entry.sent)
    traceChange(entry, { draft: null, error })
    finish(entry, error, undefined)
  }
}
