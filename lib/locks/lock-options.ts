import { inspect } from 'node:util'
import { readCallOptions } from '../call-options.ts'

/** How a session is locked. In seconds, as `ttl`. */
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

/** The same, checked and filled in. */
export type LockSettings = Readonly<Record<keyof LockOptions, number>>

/** The longest wait of a Node timer, in seconds. */
const MAX_WAIT = 2_147_483
/** Thirty days, in seconds. */
const MAX_LEASE = 60 * 60 * 24 * 30

/** @throws TypeError - naming the option, what it should be, and what it was. */
export function readLockOptions(options?: LockOptions): LockSettings {
  const { wait = 10, lease = 30 } = readCallOptions(options, ['wait', 'lease'])
  check('wait', wait, 0, MAX_WAIT)
  check('lease', lease, 1, MAX_LEASE)
  return { wait, lease }
}

function check(name: string, value: unknown, least: number, most: number): void {
  if (typeof value === 'number' && value >= least && value <= most) return
  throw new TypeError(
    `Expected \`${name}\` to be a number of seconds from ${least} to ${most}, got \`${inspect(value, { depth: 0 })}\` (${typeof value})`,
  )
}
