import type { SessionData } from 'express-session'
import type { Context } from '../operations/context.ts'
import { sessionIn } from '../operations/read.ts'

/** A living session and its id. */
export interface ListedSession {
  /** Its id, without the prefix. */
  readonly sid: string
  /** What is stored under it. */
  readonly session: SessionData
}

/** All living sessions, read in batches while the consumer goes on: it alone sets the pace. */
export async function* everySession(context: Context): AsyncGenerator<ListedSession, void, undefined> {
  for await (const batch of context.sessions.scan()) {
    for (const { sid, record, askedAt } of batch) {
      const session = sessionIn(context, sid, record, askedAt)
      if (session !== null) yield { sid, session }
    }
  }
}

/**
 * Calls `found` with the id of each living session: as exact as reading them all, but only those are read
 * that may be something else.
 */
export async function everyId(context: Context, found: (sid: string) => void): Promise<void> {
  for await (const batch of context.sessions.scan(found)) {
    for (const { sid, record, askedAt } of batch) {
      if (sessionIn(context, sid, record, askedAt) !== null) found(sid)
    }
  }
}
