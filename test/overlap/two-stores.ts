import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'

export type Data = Record<string, unknown>
/** A session with whatever data. */
export type AnySession = SessionData & Data

/** Two stores on the same sessions: one for the request under test, one for what other processes do. */
export class TwoStores implements AsyncDisposable {
  readonly here: MemcachedStore
  readonly elsewhere: MemcachedStore
  /** Conflicts that `here` told of: the session ids and the outcomes. */
  readonly conflicts: [sid: string, outcome: string][] = []
  /** Stands for memcached evicting the session: deletes without a tombstone. */
  readonly #evictor: MemcachedStore

  /** @param options - of `here`; `elsewhere` gets `others` instead of its servers and handling of conflicts. */
  constructor(options: MemcachedStoreOptions, others: MemcachedStoreOptions = {}) {
    const prefix = `overlap-${randomUUID()}:`
    this.here = new MemcachedStore({ prefix, ...options })
    this.elsewhere = new MemcachedStore({ prefix, ...options, onConflict: 'merge', ...others })
    this.#evictor = new MemcachedStore({ prefix, ...options, ...others, tombstone: 0 })
    this.here.on('conflict', (sid, { outcome }) => this.conflicts.push([sid, outcome]))
  }

  /** A new session, stored by another process; gives its id. */
  async create(data: Data): Promise<string> {
    const sid = randomUUID()
    await this.elsewhere.set(sid, makeSession(data))
    return sid
  }

  /** The session as this request reads it. */
  async read(sid: string): Promise<AnySession> {
    return (await this.here.get(sid)) as AnySession
  }

  /** Another request, elsewhere, from its read to its save. */
  async edit(sid: string, change: (session: AnySession) => void): Promise<void> {
    const session = (await this.elsewhere.get(sid)) as AnySession
    change(session)
    await this.elsewhere.set(sid, session)
  }

  /** What is stored, without the cookie; null where there is none. */
  async stored(sid: string): Promise<Data | null> {
    const session = (await this.elsewhere.get(sid)) as AnySession | null
    if (session === null) return null
    const { cookie: _, ...data } = session
    return data
  }

  evict(sid: string): Promise<void> {
    return this.#evictor.destroy(sid)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.here.close(), this.elsewhere.close(), this.#evictor.close()])
  }
}

/** A session as a plain object, which no store has read. Its cookie has a date. */
export function makeSession(data: Data, maxAge = 60_000): AnySession {
  const cookie = { originalMaxAge: maxAge, expires: new Date(Date.now() + maxAge), path: '/', httpOnly: true }
  return { cookie, ...data } as unknown as AnySession
}
