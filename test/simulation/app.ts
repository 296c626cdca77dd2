import session, { type SessionData, type Store } from 'express-session'
import type { MemcachedNode } from '../../lib/memcached/node.ts'
import { MemcachedStore } from '../../lib/memcached-store.ts'
import type { History, Known, Operation } from './history.ts'
import type { Setting } from './plan.ts'
import { type Leaves, leavesOf, userOf } from './session.ts'
import type { Clock } from './virtual-time.ts'

export type Middleware = (req: object, res: object, next: (error?: unknown) => void) => void
type Callback<T = void> = (error?: Error | null, value?: T) => void

/** The store as express-session sees it: with callbacks alone. */
interface Face {
  get(sid: string, callback: Callback<SessionData | null>): void
  set(sid: string, session: SessionData, callback?: Callback): void
  touch(sid: string, session: SessionData, callback?: Callback): void
  destroy(sid: string, callback?: Callback): void
  createSession(req: object, stored: SessionData): SessionData
  generate(req: { session: SessionData }): void
}

const SECRET = 'the simulation'

/** One process: a store, and an application on express-session. All that goes through it is written down. */
export class App {
  readonly clock: Clock
  readonly store: MemcachedStore
  readonly session: Middleware
  readonly exclusive: Middleware
  readonly #history: History
  readonly #number: number
  #generated = 0
  /** Of what was read from the store, the operation that read it. */
  readonly #reads: WeakMap<object, Operation> = new WeakMap()
  /** Of live sessions, what their request knows. */
  readonly #known: WeakMap<object, Known> = new WeakMap()

  constructor(
    number: number,
    clock: Clock,
    setting: Setting,
    history: History,
    connect: (onChange: (isReachable: boolean) => void) => MemcachedNode[],
    now: () => number,
    newId: () => string,
    backing: Store | undefined,
  ) {
    this.clock = clock
    this.#history = history
    this.#number = number
    const { ttl, touchAfter, tombstone, timeout, onConflict, onUnavailable, hasUsers } = setting
    const backingTimeout = setting.backing?.timeout
    const options = {
      ttl,
      touchAfter,
      tombstone,
      timeout,
      onConflict,
      onUnavailable,
      backing,
      backingTimeout,
    }
    this.store = new MemcachedStore(hasUsers ? { ...options, userOf } : options, (_settings, onChange) =>
      connect(onChange),
    )
    this.store.on('conflict', (sid, { outcome }) => {
      history.conflicts.push({ time: now(), process: number, sid, outcome })
    })
    this.#listen(this.store as unknown as Face)
    this.session = session({
      store: this.store,
      secret: SECRET,
      resave: setting.resave,
      rolling: setting.rolling,
      saveUninitialized: false,
      cookie: setting.maxAge === null ? {} : { maxAge: setting.maxAge },
      genid: newId,
    }) as unknown as Middleware
    this.exclusive = this.store.exclusive({ wait: 2, lease: 3 }) as unknown as Middleware
    const face = this.store as unknown as Face
    const generate = face.generate.bind(face)
    face.generate = req => {
      generate(req)
      this.#known.set(req.session, {
        reading: -++this.#generated,
        readAt: now(),
        base: {},
        savedBy: -1,
        maybe: [],
      })
    }
  }

  /** Counts one up in a session, in a transaction of the store. */
  async count(sid: string): Promise<void> {
    const operation = this.#history.begin('update', sid, this.#number, this.clock.skew)
    try {
      const written = await this.store.update(sid, stored => {
        const counted = stored as SessionData & { count?: number }
        counted.count = (counted.count ?? 0) + 1
      })
      operation.leaves = written === null ? null : leavesOf(written)
      this.#history.end(operation, undefined)
    } catch (error) {
      this.#history.end(operation, error)
      throw error
    }
  }

  async signOutEverywhere(user: string, except: string | undefined): Promise<void> {
    const operation = this.#history.begin('sign out', user, this.#number)
    operation.except = except
    try {
      await this.store.destroyAllOf(user, { except })
      this.#history.end(operation, undefined)
    } catch (error) {
      this.#history.end(operation, error)
      throw error
    }
  }

  async sessionsOf(user: string): Promise<void> {
    const operation = this.#history.begin('sessions of', user, this.#number)
    try {
      const found = await this.store.sessionsOf(user)
      this.#history.end(operation, undefined)
      operation.listed = found.map(({ sid }) => sid)
    } catch (error) {
      this.#history.end(operation, error)
    }
  }

  #listen(face: Face): void {
    const { get, set, touch, destroy, createSession } = face
    const history = this.#history
    const begin = (what: Operation['what'], sid: string): Operation =>
      history.begin(what, sid, this.#number, this.clock.skew)
    face.get = (sid, callback) => {
      const operation = begin('get', sid)
      get.call(face, sid, (error, found) => {
        if (found != null) {
          operation.leaves = leavesOf(found)
          operation.count = (found as { count?: number }).count
          operation.expires = this.#expiresOf(found)
          this.#reads.set(found, operation)
        }
        history.end(operation, error)
        callback(error, found)
      })
    }
    face.createSession = (req, stored) => {
      const live = createSession.call(face, req, stored)
      const { number, start, leaves } = this.#reads.get(stored) as Operation
      this.#known.set(live, { reading: number, readAt: start, base: leaves ?? {}, savedBy: -1, maybe: [] })
      return live
    }
    face.set = (sid, live, callback) => {
      const operation = begin('set', sid)
      const known = this.#known.get(live) as Known
      const leaves = leavesOf(live)
      Object.assign(operation, { leaves, known, expires: this.#expiresOf(live) })
      // Until its end, and after an error, it may be stored and may be not.
      const own = { leaves, start: operation.start, number: operation.number }
      this.#known.set(live, { ...known, maybe: [...known.maybe, own] })
      set.call(face, sid, live, error => {
        history.end(operation, error)
        if (error == null) this.#known.set(live, afterSave(this.#known.get(live) as Known, operation, leaves))
        callback?.(error)
      })
    }
    face.touch = (sid, live, callback) => {
      const operation = begin('touch', sid)
      const known = this.#known.get(live) as Known
      const { life } = leavesOf(live)
      // Its cookie is all that a touch stores.
      Object.assign(operation, { leaves: { ...known.base, life }, known, expires: this.#expiresOf(live) })
      touch.call(face, sid, live, error => {
        history.end(operation, error)
        if (error == null) this.#known.set(live, afterTouch(this.#known.get(live) as Known, life))
        callback?.(error)
      })
    }
    face.destroy = (sid, callback) => {
      const operation = begin('destroy', sid)
      destroy.call(face, sid, error => {
        history.end(operation, error)
        callback?.(error)
      })
    }
  }

  #expiresOf({ cookie }: SessionData): number | null {
    const { expires } = cookie as { expires?: Date | string | null }
    return expires == null ? null : new Date(expires).getTime() - this.clock.skew
  }
}

/** Saves that a request did not wait for may end in another order. */
function afterSave(known: Known, { number }: Operation, leaves: Leaves): Known {
  if (known.savedBy > number) return known
  const maybe = known.maybe.filter(own => own.number > number)
  return { ...known, base: leaves, savedBy: number, maybe }
}

function afterTouch(known: Known, life: unknown): Known {
  const { base, maybe } = known
  const own = maybe.map(one => ({ ...one, leaves: { ...one.leaves, life } }))
  return { ...known, base: { ...base, life }, maybe: own }
}
