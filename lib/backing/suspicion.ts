import { ConnectionLostError, MemcachedStoreError } from '../errors.ts'
import { BackingError } from './backing-store.ts'

/** Milliseconds for which a server that is back may still hold what other processes have changed without it. */
const SPAN = 5000

/**
 * Servers that were away, and for a while after that. What such a server had before it holds still, though
 * other processes may have changed it in the backing store alone: until they are back too, and have paid what
 * they owe it (see `Debts`), the backing store is asked whatever the server holds.
 */
export class Suspicion {
  /** Of each server, when it is over: a time of `performance.now()`. */
  readonly #ends: Map<string, number> = new Map()

  /** Something that was asked of this server has failed so. */
  note(server: string, error: unknown): void {
    // A connection that broke is no outage: others go on with that server.
    if (isAway(error) && !(error instanceof ConnectionLostError))
      this.#ends.set(server, performance.now() + SPAN)
  }

  get isEmpty(): boolean {
    return this.#ends.size === 0
  }

  /** May what this server has be out of date? */
  falls(server: string): boolean {
    const end = this.#ends.get(server)
    if (end === undefined) return false
    if (performance.now() < end) return true
    this.#ends.delete(server)
    return false
  }
}

/** Can this server not be used now? */
export function isAway(error: unknown): boolean {
  if (!(error instanceof MemcachedStoreError) || error instanceof BackingError) return false
  return error.code === 'ERR_UNAVAILABLE' || error.code === 'ERR_TIMEOUT' || error.code === 'ERR_PROTOCOL'
}
