import { MemcachedStoreError } from '../../errors.ts'
import type { Lease } from './lease.ts'
import { Turns } from './turns.ts'

/** The locks that this process holds, asks for, or has yet to see freed. */
export class Locks {
  /** Those of this process that want the lock of a session. */
  readonly turns: Turns = new Turns()
  readonly #leases: Set<Lease> = new Set()
  #isClosed = false

  get isClosed(): boolean {
    return this.#isClosed
  }

  add(lease: Lease): void {
    this.#leases.add(lease)
  }

  remove(lease: Lease): void {
    this.#leases.delete(lease)
  }

  /**
   * For a store that closes, while it still has its connections: frees every lock, and tells those who hold
   * one, or wait for one, that they do no more. Takes the time of a few operations, and does not fail.
   */
  async releaseAll(): Promise<void> {
    this.#isClosed = true
    this.turns.end()
    await Promise.all(Array.from(this.#leases, lease => lease.end(closed())))
  }

  /** @throws MemcachedStoreError - `ERR_CLOSED` where nobody would free a lock. */
  throwIfClosed(): void {
    if (this.#isClosed) throw closed()
  }
}

function closed(): MemcachedStoreError {
  return new MemcachedStoreError('ERR_CLOSED', 'The store is closed')
}
