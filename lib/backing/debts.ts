import { MemcachedStoreError } from '../errors.ts'

/**
 * What is owed to a session, since one of the two sides could not be reached:
 *
 * - `changed`: it was written to the backing store alone. What memcached has of it is to be forgotten.
 * - `destroyed`: it was destroyed there alone. memcached is to get its tombstone.
 * - `behind`: the backing store may hold less than memcached does.
 */
export type Debt =
  | { readonly kind: 'changed' }
  | { readonly kind: 'behind' }
  | { readonly kind: 'destroyed'; readonly revokedAt: string }

/** Sessions that are remembered at a time. */
const MAX_DEBTS = 100_000
/** Milliseconds between two tries to pay. */
const INTERVAL = 1000
/** Debts that are paid side by side. */
const AT_ONCE = 64

/**
 * The debts of this process, by session id, and their payment: before this process uses that session in
 * memcached again, and else as soon as it can be, since other processes may use it.
 */
export class Debts {
  readonly #pay: (id: string, debt: Debt) => Promise<void>
  readonly #debts: Map<string, Debt> = new Map()
  /** Debts that are being paid. */
  readonly #payments: Map<string, Promise<void>> = new Map()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  /** @param pay - rejects where it cannot be done now. */
  constructor(pay: (id: string, debt: Debt) => Promise<void>) {
    this.#pay = pay
  }

  /** Must what memcached has of this session not be used? */
  bars(id: string): boolean {
    const debt = this.of(id)
    return debt !== undefined && debt.kind !== 'behind'
  }

  /** @throws MemcachedStoreError - `ERR_UNAVAILABLE` where too much is remembered already. */
  owe(id: string, debt: Debt): void {
    const isFull = this.#debts.size >= MAX_DEBTS && !this.#debts.has(id)
    if (debt.kind === 'behind') {
      // What is barred is taken out of memcached, so nothing there is waited for.
      if (isFull || this.bars(id)) return
    } else if (isFull) {
      throw new MemcachedStoreError(
        'ERR_UNAVAILABLE',
        `memcached is away, and ${MAX_DEBTS} sessions have been changed without it: no more can be remembered`,
      )
    }
    this.#debts.set(id, debt)
    this.#payLater()
  }

  of(id: string): Debt | undefined {
    return this.#debts.size === 0 ? undefined : this.#debts.get(id)
  }

  /** The backing store has got what memcached has: nothing is owed but what has come since. */
  caughtUp(id: string, debt: Debt | undefined): void {
    if (debt !== undefined && this.#debts.get(id) === debt) this.#debts.delete(id)
  }

  /** Waits for a payment that is under way, however it ends. */
  async paid(id: string): Promise<void> {
    await this.#payments.get(id)?.catch(() => {})
  }

  /** Pays what is owed to this session. Rejects where it cannot be done now. */
  pay(id: string): Promise<void> {
    const underWay = this.#payments.get(id)
    if (underWay !== undefined) return underWay
    const debt = this.#debts.get(id)
    if (debt === undefined) return Promise.resolve()
    const payment = this.#pay(id, debt)
      .then(() => {
        // Another one may have been made meanwhile.
        if (this.#debts.get(id) === debt) this.#debts.delete(id)
      })
      .finally(() => this.#payments.delete(id))
    this.#payments.set(id, payment)
    return payment
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #payLater(): void {
    if (this.#timer !== undefined || this.#isClosed) return
    this.#timer = setTimeout(() => {
      void this.#payAll().then(() => {
        this.#timer = undefined
        if (this.#debts.size > 0) this.#payLater()
      })
    }, INTERVAL).unref()
  }

  /** A batch after the other, until none of one could be paid. */
  async #payAll(): Promise<void> {
    const ids = [...this.#debts.keys()]
    for (let at = 0; at < ids.length && !this.#isClosed; at += AT_ONCE) {
      const batch = ids.slice(at, at + AT_ONCE)
      const paid = await Promise.allSettled(batch.map(id => this.pay(id)))
      if (paid.every(({ status }) => status === 'rejected')) return
    }
  }
}
