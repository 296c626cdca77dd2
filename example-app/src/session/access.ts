/** express-session's callbacks as promises. */
import type { Request } from 'express'
import type { SessionData, Store } from 'express-session'

/** Saves now rather than at the end of the response, so that a failure can still be shown. */
export function saveSession(req: Request): Promise<void> {
  return settled(done => req.session.save(done))
}

/** A new session id: nothing that was known of the old one is worth anything. */
export function regenerateSession(req: Request): Promise<void> {
  return settled(done => req.session.regenerate(done))
}

export function destroySession(req: Request): Promise<void> {
  return settled(done => req.session.destroy(done))
}

/**
 * Puts this request into a session that exists; false where it has ended. An id other than the
 * cookie's is what express-session sends a new cookie for, signed like any other.
 */
export async function enterSession(req: Request, store: Store, sid: string): Promise<boolean> {
  const stored = await readStored(store, sid)
  if (stored === null) return false
  req.sessionID = sid
  store.createSession(req, stored)
  return true
}

export function readStored(store: Store, sid: string): Promise<SessionData | null> {
  return new Promise((resolve, reject) => {
    store.get(sid, (error, session) => (error ? reject(error) : resolve(session ?? null)))
  })
}

export function destroyStored(store: Store, sid: string): Promise<void> {
  return settled(done => store.destroy(sid, done))
}

function settled(start: (done: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(error => (error ? reject(error) : resolve()))
  })
}
