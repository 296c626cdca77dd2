import { randomUUID } from 'node:crypto'
import { closedError, MemcachedStoreError } from '../errors.ts'
import type { Emit } from '../events.ts'
import { pause } from '../pause.ts'
import type { DeletableRecords } from '../storage/storage.ts'
import { isTraced, type OperationTrace, traceTask } from '../tracing.ts'
import { KeyedMutex } from './keyed-mutex.ts'
import { Lease, type LeaseOwner } from './lease.ts'
import { type LockOptions, type LockSettings, readLockOptions } from './lock-options.ts'

/** What one who holds a lock gets. */
export interface Lock {
  /** Aborted when the lock was lost: memcached went, or evicted it, or could not be reached in time. */
  readonly signal: AbortSignal
}

/** What is done while a lock is held. */
type Task<T> = (lock: Lock) => T | Promise<T>

/** Milliseconds; the wait before another attempt is a random part of this at most. */
const MAX_PAUSE = 50

/** The locks of sessions that this process holds, asks for, or has yet to see freed. */
export class Locks implements LeaseOwner {
  readonly #records: DeletableRecords
  readonly #emit: Emit
  /** Those of this process that want the lock of a session. */
  readonly #mutex: KeyedMutex = new KeyedMutex()
  readonly #leases: Set<Lease> = new Set()
  #isClosed = false

  constructor(records: DeletableRecords, emit: Emit) {
    this.#records = records
    this.#emit = emit
  }

  /** Runs `task` while nobody else holds the session's lock. */
  withLock<T>(sid: string, task: Task<T>, options?: LockOptions): Promise<T> {
    return isTraced()
      ? traceTask('withLock', this.serverOf(sid), trace => this.#withLock(sid, task, options, trace))
      : this.#withLock(sid, task, options)
  }

  /** Where a session's lock lives, for people. */
  serverOf(sid: unknown): string | undefined {
    return typeof sid === 'string' ? this.#records.addressOf(sid) : undefined
  }

  async #withLock<T>(
    sid: string,
    task: Task<T>,
    options: LockOptions | undefined,
    trace?: OperationTrace,
  ): Promise<T> {
    if (typeof task !== 'function') {
      throw new TypeError(`Expected \`task\` to be a function, got (${typeof task})`)
    }
    const lease = await this.acquire(sid, readLockOptions(options), trace)
    let result: T
    try {
      result = await task({ signal: lease.signal })
    } finally {
      await this.release(sid, lease)
    }
    lease.signal.throwIfAborted()
    return result
  }

  /**
   * Takes a session's lock. In this process those who want it take turns, in the order in which they
   * came; other processes are met by trying again.
   *
   * @param trace - is told whether it had to wait.
   * @returns the lease, which is to be given to {@link release}.
   * @throws MemcachedStoreError - `ERR_UNAVAILABLE` where the lock was not free in time; `ERR_CLOSED`.
   */
  async acquire(sid: string, { wait, lease }: LockSettings, trace?: OperationTrace): Promise<Lease> {
    const end = performance.now() + wait * 1000
    if (trace !== undefined && this.#mutex.isHeld(sid)) trace.waited = true
    if (!(await this.#mutex.acquire(sid, wait * 1000))) {
      this.#throwIfClosed()
      throw busy(wait)
    }
    const held = new Lease(this.#records, this, sid, randomUUID(), lease)
    this.#leases.add(held)
    try {
      this.#throwIfClosed()
      for (let attempt = 0; !(await held.take()); attempt++) {
        const left = end - performance.now()
        if (left <= 0) throw busy(wait)
        if (trace !== undefined) trace.waited = true
        await pause(Math.min(Math.random() * Math.min(2 ** attempt, MAX_PAUSE), left))
        this.#throwIfClosed()
      }
      this.#throwIfClosed()
      return held
    } catch (error) {
      void this.release(sid, held)
      throw error
    }
  }

  /** Frees the lock for those who wait here, and elsewhere. */
  async release(sid: string, lease: Lease): Promise<void> {
    await lease.release()
    this.#mutex.release(sid)
  }

  /**
   * For a store that closes, while it still has its connections: frees every lock, and tells those who hold
   * one, or wait for one, that they do no more. Takes the time of a few operations, and does not fail.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#mutex.close()
    await Promise.all(Array.from(this.#leases, lease => lease.end(closedError())))
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  lost(sid: string): void {
    this.#emit('conflict', sid, { outcome: 'lease-lost' })
  }

  ended(lease: Lease): void {
    this.#leases.delete(lease)
  }

  /** @throws MemcachedStoreError - `ERR_CLOSED` where nobody would free a lock. */
  #throwIfClosed(): void {
    if (this.#isClosed) throw closedError()
  }
}

function busy(wait: number): MemcachedStoreError {
  return new MemcachedStoreError(
    'ERR_UNAVAILABLE',
    `The session is locked by another request, and was still after ${wait} s`,
  )
}
