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
