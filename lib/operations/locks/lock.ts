import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { MemcachedStoreError } from '../../errors.ts'
import { pause } from '../../pause.ts'
import type { Context } from '../context.ts'
import { Lease } from './lease.ts'

/** How a session is locked. In seconds, as `ttl` and memcached's own times. */
export interface LockOptions {
  /**
   * Seconds after which waiting for the lock ends with `ERR_UNAVAILABLE` (status 503). 0 does not wait.
   *
   * @defaultValue 10
   */
  wait?: number | undefined

  /**
   * Seconds until the lock is free again if the process that holds it dies; rounded up, and 2 at least,
   * since memcached's clock has whole seconds. While it is held it is renewed, however long that is.
   *
   * @defaultValue 30
   */
  lease?: number | undefined
}

/** What one who holds a lock gets. */
export interface Lock {
  /** Aborted when the lock was lost: memcached went, or evicted it, or could not be reached in time. */
  readonly signal: AbortSignal
}

/** The same, checked and filled in. */
export type LockSettings = Readonly<Record<keyof LockOptions, number>>

/** Milliseconds; the wait before another attempt is a random part of this at most. */
const LONGEST_PAUSE = 50
/** The longest wait of a Node timer, in seconds. */
const LONGEST_WAIT = 2_147_483
/** memcached takes longer relative times for dates (protocol.txt, "Expiration times"). */
const LONGEST_LEASE = 60 * 60 * 24 * 30

/** @throws TypeError - naming the option, what it should be, and what it was. */
export function readLockOptions(options: LockOptions = {}): LockSettings {
  const { wait = 10, lease = 30 } = options
  check('wait', wait, 0, LONGEST_WAIT)
  check('lease', lease, 1, LONGEST_LEASE)
  return { wait, lease }
}

function check(name: string, value: unknown, least: number, most: number): void {
  if (typeof value === 'number' && value >= least && value <= most) return
  throw new TypeError(
    `Expected \`${name}\` to be a number of seconds from ${least} to ${most}, got \`${inspect(value, { depth: 0 })}\` (${typeof value})`,
  )
}

/**
 * Takes a session's lock. In this process those who want it take turns, in the order in which they
 * came; other processes are met by trying again.
 *
 * @returns the lease, which is to be given to {@link release}.
 */
export async function acquire(context: Context, sid: string, { wait, lease }: LockSettings): Promise<Lease> {
  const { locks } = context
  const end = performance.now() + wait * 1000
  if (!(await locks.turns.take(sid, wait * 1000))) {
    locks.throwIfClosed()
    throw busy(wait)
  }
  const held = new Lease(context, sid, randomUUID(), lease)
  locks.add(held)
  try {
    locks.throwIfClosed()
    for (let attempt = 0; !(await held.take()); attempt++) {
      const left = end - performance.now()
      if (left <= 0) throw busy(wait)
      await pause(Math.min(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE), left))
      locks.throwIfClosed()
    }
    locks.throwIfClosed()
    return held
  } catch (error) {
    void release(context, sid, held)
    throw error
  }
}

/** Frees the lock for those who wait here, and elsewhere. */
export async function release(context: Context, sid: string, lease: Lease): Promise<void> {
  await lease.release()
  context.locks.turns.pass(sid)
}

function busy(wait: number): MemcachedStoreError {
  return new MemcachedStoreError(
    'ERR_UNAVAILABLE',
    `The session is locked by another request, and was still after ${wait} s`,
  )
}

/** Runs `task` while nobody else holds the session's lock. */
export async function withLock<T>(
  context: Context,
  sid: string,
  task: (lock: Lock) => T | Promise<T>,
  options?: LockOptions,
): Promise<T> {
  const lease = await acquire(context, sid, readLockOptions(options))
  let result: T
  try {
    result = await task({ signal: lease.signal })
  } finally {
    await release(context, sid, lease)
  }
  lease.signal.throwIfAborted()
  return result
}
