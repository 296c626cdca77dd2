import type { SessionData } from 'express-session'

type Callback<T = void> = (error?: Error | null, value?: T) => void

/** What `@fastify/session` asks of a store. */
export interface SessionStore {
  get(sid: string, callback: Callback<SessionData | null>): void
  set(sid: string, session: SessionData, callback: Callback): void
  destroy(sid: string, callback: Callback): void
}

/** `request.session`, as `@fastify/session` makes it. */
interface LiveSession extends SessionData {
  readonly sessionId: string
}

/**
 * A store for `@fastify/session`, which copies what it was given into an object of its own. This one knows the
 * former by the latter, and saves that: it carries what the store read.
 */
export class CarryingStore implements SessionStore {
  readonly #store: SessionStore
  /** What was read, by what was made of it; null where there was nothing any more. */
  readonly #read: WeakMap<object, SessionData | null> = new WeakMap()
  /** What is being handed over. */
  #given: { readonly sid: string; readonly read: SessionData | null } | undefined

  constructor(store: SessionStore) {
    this.#store = store
  }

  /** Watches `request.session`: it is set in the very call that hands over what was read. */
  watch(request: { session?: unknown }): void {
    let session = request.session
    Object.defineProperty(request, 'session', {
      configurable: true,
      enumerable: true,
      get: () => session,
      set: (made: unknown) => {
        session = made
        this.#link(made as LiveSession | null)
      },
    })
  }

  get(sid: string, callback: Callback<SessionData | null>): void {
    this.#store.get(sid, (error, read) => {
      this.#given = error == null ? { sid, read: read ?? null } : undefined
      callback(error, read)
    })
  }

  set(sid: string, session: SessionData, callback: Callback): void {
    const read = this.#read.get(session)
    // `reload` makes a blank session under the id of one that has ended: a logout stays one.
    if (read === null) process.nextTick(callback)
    else this.#store.set(sid, read === undefined ? session : refill(read, session), callback)
  }

  destroy(sid: string, callback: Callback): void {
    this.#store.destroy(sid, callback)
  }

  /** A new session has another id. */
  #link(made: LiveSession | null): void {
    if (this.#given === undefined || made?.sessionId !== this.#given.sid) return
    this.#read.set(made, this.#given.read)
    this.#given = undefined
  }
}

/** Gives `read` the data of `session`. */
function refill(read: SessionData, session: SessionData): SessionData {
  const data = read as unknown as Record<string, unknown>
  for (const key of Object.keys(data)) if (!Object.hasOwn(session, key)) delete data[key]
  for (const [key, value] of Object.entries(session)) data[key] = value
  data.cookie = withoutPast(session.cookie)
  return read
}

/** A cookie brings the date that it had when it was read: with it no session would be as it was read. */
function withoutPast(cookie: SessionData['cookie']): object {
  const { toJSON } = cookie as { toJSON?: () => object }
  return typeof toJSON === 'function' ? { ...toJSON.call(cookie), originalExpires: undefined } : cookie
}
