import { type Session, type SessionData, Store } from 'express-session'
import { Cluster } from './cluster/cluster.ts'
import { asError } from './errors.ts'
import { createNodes } from './memcached/nodes.ts'
import type { Context, Done, StoreEvents } from './operations/context.ts'
import { destroy } from './operations/destroy.ts'
import { Lanes } from './operations/lanes.ts'
import { read } from './operations/read.ts'
import { readMany } from './operations/read-many.ts'
import { Recent } from './operations/recent.ts'
import { save } from './operations/save.ts'
import { touch } from './operations/touch.ts'
import { type Change, update } from './operations/update.ts'
import { type MemcachedStoreOptions, readOptions } from './options.ts'
import { Codec } from './session/codec.ts'
import { Expiry, expiresOf } from './session/expiry.ts'
import { Keys } from './session/key.ts'
import { passRevision } from './session/revision.ts'

/** What a method calls when it is given a callback instead of returning a promise. */
export type Callback<T = void> = (error?: Error | null, value?: T) => void

/** Sessions without a date in their cookie whose last touch is remembered. */
const MOST_TOUCHED = 10_000

/**
 * An express-session store on memcached.
 *
 * ```ts
 * app.use(session({ store: new MemcachedStore(), secret, resave: false, saveUninitialized: false }))
 * ```
 *
 * Methods take an optional callback, which is called once and on a fresh tick, and return a promise
 * when none is given. They fail with a `MemcachedStoreError`, or with what the application's own
 * functions (`ttl`, `serializer`, `onConflict`) threw.
 */
export class MemcachedStore extends Store {
  readonly #context: Context

  /** @throws TypeError - for an unknown option, or one with a bad value. */
  constructor(options?: MemcachedStoreOptions) {
    super()
    const settings = readOptions(options)
    const { ttl, touchAfter, onUnavailable, timeout, serializer, prefix } = settings
    const emit: Context['emit'] = (event, ...args) => process.nextTick(() => this.emit(event, ...args))
    const nodes = createNodes(settings, reachable => {
      // At `disconnect` express-session goes on without sessions; an application that wants errors must not see it.
      if (onUnavailable === 'anonymous') emit(reachable ? 'connect' : 'disconnect')
    })
    this.#context = {
      settings,
      keys: new Keys(prefix),
      codec: new Codec(serializer),
      expiry: new Expiry(ttl, touchAfter),
      cluster: new Cluster(nodes),
      lanes: new Lanes(timeout),
      touched: new Recent(MOST_TOUCHED),
      emit,
    }
  }

  /** The session of this id; null where there is none, or it is over. */
  override get(sid: string): Promise<SessionData | null>
  override get(sid: string, callback: Callback<SessionData | null>): void
  override get(sid: string, callback?: Callback<SessionData | null>): Promise<SessionData | null> | void {
    return settle(callback, done => read(this.#context, sid, done))
  }

  /** Many sessions in one go: a map of those that were found. */
  getMany(sids: Iterable<string>): Promise<Map<string, SessionData>>
  getMany(sids: Iterable<string>, callback: Callback<Map<string, SessionData>>): void
  getMany(
    sids: Iterable<string>,
    callback?: Callback<Map<string, SessionData>>,
  ): Promise<Map<string, SessionData>> | void {
    return settle(callback, done => readMany(this.#context, sids, done))
  }

  /**
   * Stores a session. One that this store has read is written only over what was read; where another
   * request changed it meanwhile, `onConflict` decides. One that was destroyed meanwhile stays so.
   */
  override set(sid: string, session: SessionData): Promise<void>
  override set(sid: string, session: SessionData, callback: Callback): void
  override set(sid: string, session: SessionData, callback?: Callback): Promise<void> | void {
    return settle(callback, done => save(this.#context, sid, session, done))
  }

  /** Keeps a session alive without storing its data. */
  override touch(sid: string, session: SessionData): Promise<void>
  override touch(sid: string, session: SessionData, callback: Callback): void
  override touch(sid: string, session: SessionData, callback?: Callback): Promise<void> | void {
    return settle(callback, done => touch(this.#context, sid, session, done))
  }

  /** Destroys a session, for requests too that loaded it before and save it later. */
  override destroy(sid: string): Promise<void>
  override destroy(sid: string, callback: Callback): void
  override destroy(sid: string, callback?: Callback): Promise<void> | void {
    return settle(callback, done => destroy(this.#context, sid, done))
  }

  /**
   * Reads a session, lets `change` edit or replace it, and writes it; again where somebody else wrote
   * in between, so that nothing is lost and a counter counts exactly. Gives the session written, or
   * null without calling `change` where there is none.
   */
  update(sid: string, change: Change): Promise<SessionData | null>
  update(sid: string, change: Change, callback: Callback<SessionData | null>): void
  update(
    sid: string,
    change: Change,
    callback?: Callback<SessionData | null>,
  ): Promise<SessionData | null> | void {
    return settle(callback, done => {
      update(this.#context, sid, change).then(
        session => done(null, session),
        (thrown: unknown) => done(asError(thrown)),
      )
    })
  }

  /** For express-session: makes `req.session` of a stored session. It keeps what was read in mind. */
  override createSession(
    req: Parameters<Store['createSession']>[0],
    stored: SessionData,
  ): Session & SessionData {
    const session = super.createSession(req, stored)
    passRevision(stored, session, expiresOf(session.cookie))
    return session
  }

  /** Lets operations on their way end, then closes every connection. A client of your own stays open. */
  close(): Promise<void>
  close(callback: Callback): void
  close(callback?: Callback): Promise<void> | void {
    return settle(callback, done => {
      this.#context.cluster.close().then(
        () => done(null),
        (error: Error) => done(error),
      )
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  override on<E extends keyof StoreEvents>(event: E, listener: (...args: StoreEvents[E]) => void): this
  override on(event: string | symbol, listener: (...args: never[]) => void): this
  override on(event: string | symbol, listener: (...args: never[]) => void): this {
    return super.on(event, listener as (...args: unknown[]) => void)
  }
}

/**
 * The one boundary to callers: a callback on a fresh tick, outside any `try` and any parser of ours,
 * or a promise.
 */
function settle<T>(callback: Callback<T> | undefined, start: (done: Done<T>) => void): Promise<T> | void {
  if (callback !== undefined) {
    start((error, value) => process.nextTick(callback, error, value))
    return
  }
  return new Promise<T>((resolve, reject) => {
    start((error, value) => {
      if (error === null) resolve(value as T)
      else reject(error)
    })
  })
}
