import { Cookie, type SessionData } from 'express-session'
import { type Codec, isSession } from '../session/codec.ts'
import { type Expiry, expiresOf } from '../session/expiry.ts'
import type { BackingStore } from './backing-store.ts'
import type { Found, Shelf } from './shelf.ts'

/**
 * Milliseconds by which an item in memcached may outlive what it was given, since its clock has whole seconds, and one
 * second by which the clocks of processes may differ: who reads it late must not find its date over.
 */
const ITEM_SLACK = 3000

export interface ShelfOptions {
  /** Does a session live until the date of its cookie, where that has one? Not so with a `ttl` function. */
  readonly isDated: boolean
  /** Is this the id of something else that lies in the backing store? */
  isOther(id: string): boolean
  /** Milliseconds of one call of the backing store. */
  readonly patience: number
}

/** Sessions in the backing store, as texts. */
export class SessionShelf implements Shelf {
  readonly #store: BackingStore
  readonly #codec: Codec
  readonly #expiry: Expiry
  readonly #isDated: boolean
  readonly #isOther: (id: string) => boolean
  readonly #patience: number

  constructor(store: BackingStore, codec: Codec, expiry: Expiry, options: ShelfOptions) {
    this.#store = store
    this.#codec = codec
    this.#expiry = expiry
    this.#isDated = options.isDated
    this.#isOther = options.isOther
    this.#patience = options.patience
  }

  async get(sid: string): Promise<Found | null> {
    const session = await this.#store.get(sid)
    return session === null ? null : this.found(sid, session)
  }

  /** What the backing store has given, as it is to lie in memcached. */
  found(sid: string, session: SessionData): Found {
    try {
      if (!isSession(session)) return { text: null, milliseconds: 0 }
      const milliseconds = this.#remaining(session, sid)
      return { text: this.#codec.encode(session), milliseconds }
    } catch {
      return { text: null, milliseconds: 0 }
    }
  }

  async put(sid: string, text: string, refreshed: string | null, onLate: () => void): Promise<void> {
    const session = this.#codec.decode(text)
    // Nothing that the store itself would read.
    if (session === null) return
    const { left, slack } = this.#expiry.of(session, sid)
    const kept = { ...session, cookie: keptUntil(session.cookie, new Date(Date.now() + left + slack)) }
    if (refreshed !== null && this.#outlasts(refreshed)) await this.#store.touch(sid, kept, onLate)
    else await this.#store.set(sid, kept, onLate)
  }

  isRefresh(before: string, after: string): boolean {
    return this.#codec.isRefresh(before, after)
  }

  isUpToDate(text: string, stored: string): boolean {
    return text === stored || (this.isRefresh(stored, text) && this.#dateOf(text) >= this.#dateOf(stored))
  }

  /**
   * All that the backing store has; null where it lists nothing. Those whose ids it can list alone are told by
   * that, where `alive` is given.
   */
  async list(alive?: (sid: string) => void): Promise<[sid: string, found: Found][] | null> {
    if (alive !== undefined && this.#store.can('ids')) {
      for (const sid of (await this.#store.ask('ids')) as string[]) if (!this.#isOther(sid)) alive(sid)
      return []
    }
    if (!this.#store.can('all')) return null
    const listed = identified((await this.#store.ask('all')) as object)
    if (listed === null) return null
    return listed.filter(([sid]) => !this.#isOther(sid)).map(([sid, one]) => [sid, this.found(sid, one)])
  }

  destroy(sid: string, onLate: () => void): Promise<void> {
    return this.#store.destroy(sid, onLate)
  }

  /** Is what lies there still there when a call arrives? A store that touches what it has not leaves it at that. */
  #outlasts(text: string): boolean {
    return this.#dateOf(text) - Date.now() > this.#patience
  }

  /** In milliseconds of Unix time; 0 where it has none. */
  #dateOf(text: string): number {
    const session = this.#codec.decode(text)
    return session === null ? 0 : (expiresOf(session.cookie) ?? 0)
  }

  /**
   * Milliseconds for which memcached may go by this copy alone. That the session lives is the backing
   * store's word; until when, it does not say: `touch` leaves the cookie that is stored as it was. Where
   * that cookie's date is over, or nearly so, the copy gets a later one, which its next request renews at once.
   */
  #remaining(session: SessionData, sid: string): number {
    const { left, slack, expires } = this.#expiry.of(session, sid)
    if (expires === undefined || !this.#isDated) return slack
    if (left + slack > ITEM_SLACK) return left + slack - ITEM_SLACK
    const life = session.cookie.originalMaxAge
    if (typeof life !== 'number') return 0
    // Before what any request under way may refresh it to.
    const rest = Math.max(life - 2 * this.#patience - ITEM_SLACK, life / 2)
    const date = Math.max(expires, Date.now() + rest - slack)
    session.cookie = { ...plain(session.cookie), expires: new Date(date) } as Cookie
    return 0
  }
}

/** A cookie by which the backing store sees until when to keep the session, and which it stores as it is. */
function keptUntil(stored: SessionData['cookie'], until: Date): SessionData['cookie'] {
  // The types leave this out.
  const cookie = new (Cookie as unknown as new (stored: object) => SessionData['cookie'])(stored)
  const { originalMaxAge } = stored
  Object.assign(cookie, { expires: until, originalMaxAge })
  return Object.defineProperty(cookie, 'toJSON', { value: () => stored })
}

function plain(cookie: SessionData['cookie']): object {
  const { toJSON } = cookie as { toJSON?: () => object }
  return typeof toJSON === 'function' ? toJSON.call(cookie) : cookie
}

/** What `all` of a store gives: sessions by id, or a list of those that have their ids. Null where they have none. */
function identified(all: object): [sid: string, session: SessionData][] | null {
  if (!Array.isArray(all)) return Object.entries(all ?? {})
  const listed: [string, SessionData][] = []
  for (const { id, ...session } of all as (SessionData & { id?: unknown })[]) {
    if (typeof id !== 'string') return null
    listed.push([id, session as SessionData])
  }
  return listed
}
