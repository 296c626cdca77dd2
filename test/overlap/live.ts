import { randomUUID } from 'node:crypto'
import session, { type SessionData } from 'express-session'
import type { MemcachedStore } from '../../lib/index.ts'
import type { AnySession } from './two-stores.ts'

/** `req.session`, as a request has it. */
export type LiveSession = AnySession & session.Session

/** Loads a session as express-session does for a request. */
export async function load(store: MemcachedStore, sid: string): Promise<LiveSession> {
  const read = (await store.get(sid)) as SessionData
  return store.createSession({ sessionID: sid, sessionStore: store } as never, read) as LiveSession
}

/** A session as express-session generates it for a new visitor. */
export function generate(store: MemcachedStore, maxAge = 60_000): LiveSession {
  const { Session, Cookie } = session as unknown as {
    Session: new (req: object) => LiveSession
    Cookie: new (options: object) => SessionData['cookie']
  }
  const generated = new Session({ sessionID: randomUUID(), sessionStore: store })
  generated.cookie = new Cookie({ maxAge })
  return generated
}

/** `req.session.save()`: unlike the end of a request it leaves the cookie's date as it is. */
export function save(live: LiveSession): Promise<void> {
  return new Promise((resolve, reject) => live.save(error => (error ? reject(error) : resolve())))
}

/** What express-session does at the end of a request that has changed nothing. */
export function end(store: MemcachedStore, live: LiveSession): Promise<void> {
  return store.touch(live.id, live.touch())
}
