/** What went wrong, for programs. See {@link MemcachedStoreError}. */
export type MemcachedStoreErrorCode =
  | 'ERR_UNAVAILABLE'
  | 'ERR_TIMEOUT'
  | 'ERR_TOO_LARGE'
  | 'ERR_CONFLICT'
  | 'ERR_NOT_SUPPORTED'
  | 'ERR_CLOSED'
  | 'ERR_PROTOCOL'

/** The HTTP status that fits a code: Express answers with `error.status`. */
const STATUS: Partial<Record<MemcachedStoreErrorCode, number>> = {
  ERR_UNAVAILABLE: 503,
  ERR_TIMEOUT: 503,
  ERR_CONFLICT: 409,
}

/**
 * Every failure of the store, told apart by `code`:
 *
 * | code | status | meaning |
 * |---|---|---|
 * | `ERR_UNAVAILABLE` | 503 | the server cannot be reached, is marked down, or has too much queued; a session's lock was not free in time |
 * | `ERR_TIMEOUT` | 503 | no answer within the option `timeout` |
 * | `ERR_TOO_LARGE` | | the session is over `maxItemSize`; what was stored before stays |
 * | `ERR_CONFLICT` | 409 | `onConflict: 'reject'`; too many overlapping writes of one session or user; a lock was lost, or its session ended |
 * | `ERR_NOT_SUPPORTED` | | the server does not offer what the method needs |
 * | `ERR_CLOSED` | | the store was closed |
 * | `ERR_PROTOCOL` | | the server answered something that is not memcached's protocol |
 *
 * Messages never hold a session id, a secret or a password. The code is never `ENOENT`, which
 * express-session reads as "no session" (its `index.js`, `store.get` in `session()`).
 */
export class MemcachedStoreError extends Error {
  /** `'MemcachedStoreError'`. */
  override readonly name: string = 'MemcachedStoreError'
  /** What went wrong. */
  readonly code: MemcachedStoreErrorCode
  /** HTTP status for Express's error handler; absent where none fits. */
  readonly status?: number

  constructor(code: MemcachedStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    const status = STATUS[code]
    if (status !== undefined) this.status = status
  }
}

/**
 * The connection went while a request was on it: whether the server carried it out is not known.
 * Internal; people see its `code`.
 */
export class ConnectionLostError extends MemcachedStoreError {
  /** Milliseconds of the request's deadline that are left to find out. */
  remaining = 0

  /** The same for one of the requests that were on the connection. */
  withRemaining(milliseconds: number): ConnectionLostError {
    const error = new ConnectionLostError(this.code, this.message, { cause: this.cause })
    error.remaining = Math.max(milliseconds, 0)
    return error
  }
}

/** To whoever comes after `close`. */
export function closedError(): MemcachedStoreError {
  return new MemcachedStoreError('ERR_CLOSED', 'The store is closed')
}

/** What code of the application threw. A callback must not take a thrown `null` for success. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new TypeError('Expected an error to be thrown', { cause: thrown })
}
