import type { SessionData } from 'express-session'
import { attachRevision, Revision } from '../session/revision.ts'
import type { SessionRecord } from '../storage/record.ts'
import { traceHere } from '../tracing.ts'
import { knownUser } from '../users/user-of.ts'
import type { Context } from './context.ts'
import type { Done } from './done.ts'

/** Reads a session: one round trip. Null where there is none, it is over, or it was logged out. */
export function read(context: Context, sid: string, done: Done<SessionData | null>): void {
  context.counts.reads++
  context.changes.read(context, sid, done, ask)
}

function ask(context: Context, sid: string, done: Done<SessionData | null>): void {
  const askedAt = performance.now()
  context.sessions.read(sid, (error, record) => {
    if (error !== null) {
      done(error)
      return
    }
    const session = sessionIn(context, sid, record as SessionRecord, askedAt)
    traceRead(record as SessionRecord, session)
    done(null, session)
  })
}

function traceRead({ content }: SessionRecord, session: SessionData | null): void {
  const trace = traceHere()
  if (trace === undefined) return
  trace.outcome = session === null ? 'missing' : 'found'
  if (session !== null) trace.bytes = Buffer.byteLength(content)
}

/** The session in a record, with what the store knows of it; null where there is none to be seen. */
export function sessionIn(
  context: Context,
  sid: string,
  record: SessionRecord,
  seenAt: number,
): SessionData | null {
  const session = living(context, sid, record, seenAt)
  if (session !== null) {
    const user = knownUser(context.settings, session)
    attachRevision(session, new Revision(context.sessions, sid, record, seenAt, user))
  }
  return session
}

/** The session in a record; null where there is none, or it is over. Tells of what is none. */
export function living(
  context: Context,
  sid: string,
  record: SessionRecord,
  askedAt?: number,
): SessionData | null {
  if (record.kind !== 'stored' && record.kind !== 'corrupt') return null
  const session = record.kind === 'stored' ? context.codec.decode(record.text) : null
  const state = session === null ? 'invalid' : context.expiry.judge(session, askedAt)
  if (state === 'invalid') {
    context.counts.corrupt++
    context.emit('corrupt', sid)
  }
  return state === 'alive' ? session : null
}
