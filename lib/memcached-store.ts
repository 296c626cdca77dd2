import { type Session, type SessionData, Store } from 'express-session'
import { patienceWith } from './backing/backed.ts'
import { BackedStorage } from './backing/backed-storage.ts'
import { ChangingCluster } from './cluster/changing-cluster.ts'
import type { Cluster } from './cluster/cluster.ts'
import { FixedCluster } from './cluster/fixed-cluster.ts'
import type { ServerStats, UnreachableServer } from './cluster/server-stats.ts'
import { asError, closedError, MemcachedStoreError } from './errors.ts'
import type { Emit, StoreEvents } from './events.ts'
import { everyId, everySession, type ListedSession } from './listing/list.ts'
import { type ExclusiveMiddleware, exclusive, type IsStored } from './locks/exclusive.ts'
import type { LockOptions } from './locks/lock-options.ts'
import { type Lock, Locks } from './locks/locks.ts'
import type { MemcachedNode } from './memcached/node.ts'
import { createNodes } from './memcached/nodes.ts'
import { Changes } from './operations/changes/changes.ts'
import type { Context } from './operations/context.ts'
import { type Counts, createCounts } from './operations/counts.ts'
import { destroy, revoke } from './operations/destroy.ts'
import type { Done } from './operations/done.ts'
import { read } from './operations/read.ts'
import { readMany } from './operations/read-many.ts'
import { save } from './operations/save.ts'
import { touch } from './operations/touch.ts'
import { type Updater, update } from './operations/update.ts'
import { type MemcachedStoreOptions, readOptions, type Settings } from './options.ts'
import { RecentKeys } from './recent-keys.ts'
import { Codec } from './session/codec.ts'
import { Expiry, expiresOf } from './session/expiry.ts'
import { passRevision, revisionOf } from './session/revision.ts'
import { MemcachedStorage } from './storage/memcached-storage.ts'
import type { Storage } from './storage/storage.ts'
import { isTraced, type OperationName, traceListing, traceOperation, traceTask } from './tracing.ts'
import { knownUser } from './users/user-of.ts'
import { type DestroyAllOptions, type UserSession, Users } from './users/users.ts'

/**
 * What a method calls when it is given a callback instead of returning a promise: once, with an error, or with null and
 * the value.
 */
export type Callback<T = void> = (error?: Error | null, value?: T) => void

/** A session with its id, as `all()` gives it. */
export type IdentifiedSession = SessionData & {
  /** The session's id, without the prefix. */
  id: string
}

/** What `stats()` gives. */
export interface StoreStats {
  /** One entry per server, in the order of the option. */
  readonly servers: readonly (ServerStats | UnreachableServer)[]
  /** What this process has done since the store was made. */
  readonly counts: Counts
  /** Values that it has encrypted since: of all processes together, 2^32 are as many as one key may (docs/sealing.md). */
  readonly sealed: number
}

/** Sessions without a date whose last touch is remembered. */
const MAX_REMEMBERED = 10_000

/**
 * An express-session store on memcached.
 *
 * ```ts
 * app.use(session({ store: new MemcachedStore(), secret, resave: false, saveUninitialized: false }))
 * ```
 *
 * Methods take an optional callback, which is called once, on a fresh tick and in the caller's async
 * context (`AsyncLocalStorage`), and return a promise when none is given; a promise that nobody waits for
 * never ends the process. `sid` is a session's id, as `req.sessionID` has it: without the prefix.
 *
 * Each may fail with a `MemcachedStoreError`: `ERR_UNAVAILABLE` or `ERR_TIMEOUT` where memcached does not answer,
 * `ERR_PROTOCOL` where it answers nonsense, `ERR_CLOSED` after {@link close}; with a `TypeError` for an argument that
 * is none; and with what the application's own functions (`ttl`, `userOf`, `serializer`, `onConflict`, the change of
 * an {@link update}) threw. What else a method may fail with stands beside it.
 */
export class MemcachedStore extends Store {
  readonly #context: Context
  readonly #storage: Storage
  readonly #cluster: Cluster
  readonly #emit: Emit
  /** Made when somebody asks for one. */
  #locks: Locks | undefined
  /** Operations on their way. */
  #pending = 0
  #closing: Promise<void> | undefined
  #idle: (() => void) | undefined

  /** @throws TypeError - for an unknown option, or one with a bad value. */
  constructor(options?: MemcachedStoreOptions)
  /** @internal For simulations: what stands in for the servers. */
  constructor(options: MemcachedStoreOptions | undefined, connect: typeof createNodes)
  constructor(options?: MemcachedStoreOptions, connect: typeof createNodes = createNodes) {
    super()
    const settings = readOptions(options)
    const { ttl, timeout, touchAfter, onUnavailable, serializer } = settings
    const emit: Emit = (event, ...args) => process.nextTick(() => this.emit(event, ...args))
    const onReachable = (isReachable: boolean): void => {
      // At `disconnect` express-session goes on without sessions; an application that wants errors must not see it.
      // With a backing store there are sessions all the same.
      if (onUnavailable === 'anonymous' && settings.backing === undefined)
        emit(isReachable ? 'connect' : 'disconnect')
    }
    this.#emit = emit
    this.#cluster = createCluster(settings, connect, onReachable, emit)
    const codec = new Codec(serializer)
    const expiry = new Expiry(ttl, touchAfter)
    const counts = createCounts()
    const { backing, backingTimeout } = settings
    // A save may be on its way to the backing store for longer than to memcached: its session's tombstone is to see it come.
    const patience = backing === undefined ? timeout : patienceWith(timeout, backingTimeout)
    const memcached = new MemcachedStorage(this.#cluster, { ...settings, timeout: patience })
    this.#storage =
      backing === undefined
        ? memcached
        : new BackedStorage(memcached, { ...settings, backing, codec, expiry, counts })
    this.#context = {
      settings,
      codec,
      expiry,
      sessions: this.#storage.sessions,
      changes: new Changes(),
      touched: new RecentKeys(MAX_REMEMBERED),
      users: settings.userOf === undefined ? undefined : this.#createUsers(settings),
      counts,
      emit,
    }
  }

  /**
   * The session of this id; null where there is none, or it is over, or what is stored is none (event `corrupt`). One
   * round trip. It brings along what was read, so that {@link set} and {@link touch} of this very object are
   * conditional.
   */
  override get(sid: string): Promise<SessionData | null>
  override get(sid: string, callback: Callback<SessionData | null>): void
  override get(sid: string, callback?: Callback<SessionData | null>): Promise<SessionData | null> | void {
    return this.#settle('get', sid, callback, done => read(this.#context, sid, done))
  }

  /**
   * Many sessions in one go, at most 512 at a time on their way: a map, by id, of those that were found. Fails whole where
   * one read fails.
   */
  getMany(sids: Iterable<string>): Promise<Map<string, SessionData>>
  getMany(sids: Iterable<string>, callback: Callback<Map<string, SessionData>>): void
  getMany(
    sids: Iterable<string>,
    callback?: Callback<Map<string, SessionData>>,
  ): Promise<Map<string, SessionData>> | void {
    return this.#settle('getMany', undefined, callback, done => readMany(this.#context, sids, done))
  }

  /**
   * Stores a session. One that this store has read is written only over what was read; where another
   * request changed it meanwhile, `onConflict` decides. One that was destroyed meanwhile stays so: no error, but
   * the event `conflict`. One that this store has not read is written whole. One round trip without a conflict, or
   * none where nothing has changed and the stored date lags by less than `touchAfter`. One whose date has passed is
   * destroyed where the application gave it that date; where time has ended it, nothing is stored.
   *
   * @throws MemcachedStoreError - `ERR_TOO_LARGE` where it is over `maxItemSize`; `ERR_CONFLICT` with
   *   `onConflict: 'reject'`, or after too many overlapping writes.
   */
  override set(sid: string, session: SessionData): Promise<void>
  override set(sid: string, session: SessionData, callback: Callback): void
  override set(sid: string, session: SessionData, callback?: Callback): Promise<void> | void {
    return this.#settle('set', sid, callback, done => save(this.#context, sid, session, done))
  }

  /**
   * Keeps a session alive without storing its data. Nothing goes over the wire while its stored date lags by less
   * than `touchAfter`. One that is missing is no error, and is not created.
   */
  override touch(sid: string, session: SessionData): Promise<void>
  override touch(sid: string, session: SessionData, callback: Callback): void
  override touch(sid: string, session: SessionData, callback?: Callback): Promise<void> | void {
    return this.#settle('touch', sid, callback, done => touch(this.#context, sid, session, done))
  }

  /**
   * Destroys a session, for requests too that loaded it before and save it later: see the option `tombstone`. One
   * that is missing is no error.
   */
  override destroy(sid: string): Promise<void>
  override destroy(sid: string, callback: Callback): void
  override destroy(sid: string, callback?: Callback): Promise<void> | void {
    return this.#settle('destroy', sid, callback, done => destroy(this.#context, sid, done))
  }

  /**
   * Reads a session, lets `change` edit or replace it, and writes it; again where somebody else wrote
   * in between, so that nothing is lost and a counter counts exactly. Gives the session written, or
   * null without calling `change` where there is none. `change` may be called several times.
   *
   * @throws MemcachedStoreError - `ERR_CONFLICT` after too many overlapping writes; `ERR_TOO_LARGE`; `ERR_UNAVAILABLE`
   *   also where the connection broke on the way, so that it may have been written: it is not done twice.
   */
  update(sid: string, change: Updater): Promise<SessionData | null>
  update(sid: string, change: Updater, callback: Callback<SessionData | null>): void
  update(
    sid: string,
    change: Updater,
    callback?: Callback<SessionData | null>,
  ): Promise<SessionData | null> | void {
    return this.#settle('update', sid, callback, done => update(this.#context, sid, change, done))
  }

  /**
   * The living sessions of a user, the latest login first. Needs the option `userOf`. Should memcached
   * lose a user's index alone (it evicted it, or it was on another server than the sessions), a session
   * is listed again when it is next refreshed or saved.
   *
   * @throws TypeError - without `userOf`, or where `user` is no string.
   */
  sessionsOf(user: string): Promise<UserSession[]>
  sessionsOf(user: string, callback: Callback<UserSession[]>): void
  sessionsOf(user: string, callback?: Callback<UserSession[]>): Promise<UserSession[]> | void {
    return this.#settle('sessionsOf', undefined, callback, done =>
      settleWith(this.#users.sessionsOf(user), done),
    )
  }

  /**
   * Signs a user out everywhere: destroys all sessions that {@link sessionsOf} lists, but for `except`.
   * Requests that loaded one before, and logins that overlap with this, cannot bring it back
   * within the option `tombstone`; a login that begins later is a new one. Needs the option `userOf`.
   *
   * @throws TypeError - without `userOf`, or where `user` is no string.
   */
  destroyAllOf(user: string, options?: DestroyAllOptions): Promise<void>
  destroyAllOf(user: string, callback: Callback): void
  destroyAllOf(user: string, options: DestroyAllOptions | undefined, callback: Callback): void
  destroyAllOf(
    user: string,
    options?: DestroyAllOptions | Callback,
    callback?: Callback,
  ): Promise<void> | void {
    if (typeof options === 'function') return this.destroyAllOf(user, undefined, options)
    return this.#settle('destroyAllOf', undefined, callback, done =>
      settleWith(this.#users.destroyAllOf(user, options), done),
    )
  }

  /**
   * All living sessions of this prefix, on all servers, in no order. Memory stays the same however many
   * there are and however slowly they are taken; `break` ends it at once. A session that lives from
   * beginning to end is given exactly once. They can be saved like those of {@link get}.
   *
   * @throws MemcachedStoreError - `ERR_NOT_SUPPORTED` where a server lists no keys (`-X`, SASL, most
   *   managed services) and with a `client` of your own; any failure of a server, rather than a part.
   */
  sessions(): AsyncGenerator<ListedSession, void, undefined> {
    const listed = everySession(this.#context)
    return isTraced() ? traceListing('sessions', listed) : listed
  }

  /** All of {@link sessions} in an array, each with its `id`: all in memory at once. Fails as {@link sessions} does. */
  override all(): Promise<IdentifiedSession[]>
  override all(callback: Callback<IdentifiedSession[]>): void
  override all(callback?: Callback<IdentifiedSession[]>): Promise<IdentifiedSession[]> | void {
    return this.#settleLong('all', callback, () => toArray(everySession(this.#context)))
  }

  /** The ids of all living sessions; reads hardly any values. Fails as {@link sessions} does. */
  ids(): Promise<string[]>
  ids(callback: Callback<string[]>): void
  ids(callback?: Callback<string[]>): Promise<string[]> | void {
    const ids: string[] = []
    const listed = (): Promise<string[]> => everyId(this.#context, sid => ids.push(sid)).then(() => ids)
    return this.#settleLong('ids', callback, listed)
  }

  /** How many sessions are alive; reads hardly any values. Fails as {@link sessions} does. */
  override length(): Promise<number>
  override length(callback: Callback<number>): void
  override length(callback?: Callback<number>): Promise<number> | void {
    let count = 0
    const counted = (): Promise<number> => everyId(this.#context, () => count++).then(() => count)
    return this.#settleLong('length', callback, counted)
  }

  /**
   * Deletes everything under this prefix, on all servers: every session, and what is kept beside them.
   * No other key is touched. A request that loaded its session before may write it again at its end.
   * Fails as {@link sessions} does.
   */
  override clear(): Promise<void>
  override clear(callback: Callback | undefined): void
  override clear(callback?: Callback): Promise<void> | void {
    return this.#settleLong('clear', callback, () => this.#storage.clear())
  }

  /**
   * What each server tells of itself, over a new connection, and what this process has done. A server that is down
   * fails nothing: it is listed with its error.
   */
  stats(): Promise<StoreStats>
  stats(callback: Callback<StoreStats>): void
  stats(callback?: Callback<StoreStats>): Promise<StoreStats> | void {
    return this.#settleLong('stats', callback, () => this.#stats())
  }

  /**
   * Runs `task` while nothing else holds this session's lock, in this process or another. The lock says
   * nothing about sessions as such: it keeps out those who ask for it, here or with {@link exclusive}.
   * Code that holds it must not ask for it again. Locks need no session: any string can be locked.
   *
   * `task` gets a `signal` that is aborted when the lock was lost while it ran; then this fails with
   * `ERR_CONFLICT`, whatever `task` gave. What `task` gives is given, and what it throws is thrown.
   *
   * @throws MemcachedStoreError - `ERR_UNAVAILABLE` where the lock was not free within `wait`; `ERR_CONFLICT` where it
   *   was lost.
   * @throws TypeError - for a bad option.
   */
  withLock<T>(sid: string, task: (lock: Lock) => T | Promise<T>, options?: LockOptions): Promise<T> {
    return this.#lockRoom.withLock(sid, task, options)
  }

  /**
   * Middleware for routes that must not overlap within one session (a checkout, a one-time code, the
   * rotation of a refresh token). Goes after express-session. Waits for the session's lock, reloads the
   * session, and keeps the lock until the session has been saved at the end of the response. Requests
   * of one process run in the order in which they came.
   *
   * Gives Express an error with status 503, and sets `Retry-After`, where the lock was not free
   * within `wait` or the request has no session; with status 409 where the session was destroyed, or
   * ran out, while the request waited. `req.exclusive` is a signal that is aborted when the lock was
   * lost while the request ran; the event `conflict` tells of it too, with the outcome `'lease-lost'`.
   * A request whose client has gone keeps the lock until it ends its response, at most for one `lease`.
   *
   * @throws TypeError - for a bad option.
   */
  exclusive(options?: LockOptions): ExclusiveMiddleware {
    const isStored: IsStored = (session, sid) =>
      revisionOf(session, this.#storage.sessions, sid) !== undefined
    return exclusive(this.#lockRoom, isStored, options)
  }

  /** For express-session, which calls back without looking whether there is a callback. */
  override regenerate(
    req: Parameters<Store['regenerate']>[0],
    callback?: (error?: unknown) => unknown,
  ): void {
    super.regenerate(req, given(callback) ?? (() => {}))
  }

  /** For express-session: makes `req.session` of a stored session. It keeps what was read in mind. */
  override createSession(
    req: Parameters<Store['createSession']>[0],
    stored: SessionData,
  ): Session & SessionData {
    const session = super.createSession(req, stored)
    passRevision(stored, session, session.cookie, expiresOf(session.cookie))
    return session
  }

  /**
   * Lets operations on their way end, but for listings, and functions of the application (the change of an
   * {@link update}, `onConflict`) for one `timeout`; frees the locks that are held, then closes every
   * connection. A client of your own stays open, and so does the option `backing`. Whatever is asked for afterwards
   * fails with `ERR_CLOSED`; closing again is no error.
   */
  close(): Promise<void>
  close(callback: Callback): void
  close(callback?: Callback): Promise<void> | void {
    const wanted = given(callback)
    this.#closing ??= this.#close()
    return wanted === undefined ? this.#closing : settleWith(this.#closing, onFreshTick(wanted))
  }

  async #close(): Promise<void> {
    if (this.#pending > 0) {
      const { changes, settings } = this.#context
      const patience = setInterval(() => changes.abandon(), settings.timeout)
      await new Promise<void>(resolve => {
        this.#idle = resolve
      })
      clearInterval(patience)
    }
    await this.#lockRoom.close()
    await this.#storage.close()
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** As Node's own `on`, with the types of {@link StoreEvents}. */
  override on<E extends keyof StoreEvents>(event: E, listener: (...args: StoreEvents[E]) => void): this
  override on(event: string | symbol, listener: (...args: never[]) => void): this
  override on(event: string | symbol, listener: (...args: never[]) => void): this {
    return super.on(event, listener as (...args: unknown[]) => void)
  }

  #createUsers(settings: Settings): Users {
    return new Users(
      this.#storage.indexes,
      {
        read: sids =>
          new Promise((resolve, reject) => {
            readMany(this.#context, sids, (error, found) => {
              if (error === null) resolve(found as Map<string, SessionData>)
              else reject(error)
            })
          }),
        revoke: entry => revoke(this.#context, entry),
        ownerOf: session => knownUser(settings, session),
      },
      settings.ttl,
    )
  }

  get #users(): Users {
    const { users } = this.#context
    if (users !== undefined) return users
    throw new TypeError('Expected the option `userOf` to be a function, since sessions are asked for by user')
  }

  get #lockRoom(): Locks {
    this.#locks ??= new Locks(this.#storage.locks, this.#emit)
    return this.#locks
  }

  async #stats(): Promise<StoreStats> {
    return {
      servers: await (await this.#cluster.now()).statistics(),
      counts: { ...this.#context.counts },
      sealed: this.#storage.sealed,
    }
  }

  /**
   * The one boundary to callers: a callback on a fresh tick, outside any `try` and any parser of ours,
   * or a promise.
   */
  #settle<T>(
    operation: OperationName,
    sid: string | undefined,
    callback: Callback<T> | undefined,
    start: (done: Done<T>) => void,
  ): Promise<T> | void {
    const wanted = given(callback)
    if (wanted === undefined) return this.#promise(operation, sid, start)
    this.#run(operation, sid, start, wanted)
  }

  #promise<T>(operation: OperationName, sid: string | undefined, start: (done: Done<T>) => void): Promise<T> {
    const result = new Promise<T>((resolve, reject) => {
      this.#run<T>(operation, sid, start, (error, value) => {
        if (error) reject(error)
        else resolve(value as T)
      })
    })
    return unattended(result)
  }

  /** The same for what has no deadline: `close` ends it rather than wait for it. */
  #settleLong<T>(
    operation: OperationName,
    callback: Callback<T> | undefined,
    start: () => Promise<T>,
  ): Promise<T> | void {
    const wanted = given(callback)
    const begin = (): Promise<T> => (this.#closing === undefined ? start() : Promise.reject<T>(closedError()))
    const result = isTraced() ? traceTask(operation, undefined, begin) : begin()
    return wanted === undefined ? unattended(result) : settleWith(result, onFreshTick(wanted))
  }

  #run<T>(
    operation: OperationName,
    sid: string | undefined,
    start: (done: Done<T>) => void,
    callback: Callback<T>,
  ): void {
    if (this.#closing !== undefined) {
      process.nextTick(callback, closedError())
      return
    }
    this.#pending++
    const end: Done<T> = (error, value) => {
      if (--this.#pending === 0) this.#idle?.()
      if (error !== null) this.#note(error)
      process.nextTick(callback, error, value)
    }
    if (isTraced()) {
      const server = typeof sid === 'string' ? this.#storage.sessions.addressOf(sid) : undefined
      traceOperation(operation, server, start, end)
      return
    }
    try {
      start(end)
    } catch (thrown) {
      // Bad arguments. No operation ends before it has returned, so this is no callback's throw.
      end(asError(thrown))
    }
  }

  #note(error: Error): void {
    this.#context.counts.failures++
    if (error instanceof MemcachedStoreError && error.code === 'ERR_TIMEOUT') this.#context.counts.timeouts++
  }
}

function createCluster(
  settings: Settings,
  connect: typeof createNodes,
  onReachable: (isReachable: boolean) => void,
  emit: Emit,
): Cluster {
  const { findServers: find, refresh, timeout } = settings
  if (find === undefined) return new FixedCluster(connect(settings, onReachable))
  return new ChangingCluster({
    find,
    refresh: refresh * 1000,
    timeout,
    connect: (address, onChange) =>
      connect({ ...settings, servers: [address] }, onChange)[0] as MemcachedNode,
    onReachable,
    onChange: (names, before) => emit('servers', names, before),
  })
}

/**
 * The callback of a call; null is none, as it is for MemoryStore.
 *
 * @throws TypeError - for anything else, here and now: where it is called nobody could.
 */
function given<C>(callback: C | null | undefined): C | undefined {
  if (callback === null || callback === undefined) return undefined
  if (typeof callback === 'function') return callback
  throw new TypeError(`Expected \`callback\` to be a function, got (${typeof callback})`)
}

function onFreshTick<T>(callback: Callback<T>): Done<T> {
  return (error, value) => process.nextTick(callback, error, value)
}

async function toArray(listed: AsyncIterable<ListedSession>): Promise<IdentifiedSession[]> {
  const found: IdentifiedSession[] = []
  for await (const { sid, session } of listed) found.push(Object.assign(session, { id: sid }))
  return found
}

/**
 * A promise that may be dropped: express-session calls `destroy` without a callback where the application
 * does, and nobody waits for what comes of it. Its failure is counted, and no unhandled rejection.
 */
function unattended<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** Tells of a promise's end. */
function settleWith<T>(promise: Promise<T>, done: Done<T>): void {
  promise.then(
    value => done(null, value),
    (thrown: unknown) => done(asError(thrown)),
  )
}
