import type { SessionData, Store } from 'express-session'
import { MemcachedStoreError } from '../errors.ts'

/** What the backing store has done for this process. */
export interface BackingCounts {
  /** Sessions brought from the backing store: memcached did not have them, or had just been away. */
  refills: number
  /** Sessions stored, refreshed or destroyed in the backing store. */
  backingWrites: number
  /** Calls of the backing store that failed, or took longer than `backingTimeout`. */
  backingFailures: number
}

/** The ways to call a store that not every store has. */
type Optional = 'touch' | 'all' | 'ids' | 'length' | 'clear'

type Method = (...args: unknown[]) => unknown

/** The backing store failed: internal, to be told from a failure of memcached. People see its `code`. */
export class BackingError extends MemcachedStoreError {}

/**
 * Somebody else's session store, made safe: each call ends once, by a deadline of its own, whatever the store
 * does with its callback. Stores in the wild call it twice or never, throw instead, or return a promise in its
 * place. What a call ends with goes on in the async context of who called.
 */
export class BackingStore {
  readonly #store: Store & Partial<Record<Optional, unknown>>
  readonly #timeout: number
  readonly #counts: BackingCounts

  /** @param timeout - milliseconds of one call. */
  constructor(store: Store, timeout: number, counts: BackingCounts) {
    this.#store = store
    this.#timeout = timeout
    this.#counts = counts
  }

  can(method: Optional): boolean {
    return typeof this.#store[method] === 'function'
  }

  /** Null where there is none. Not every store says so by `null`: some give an error with the code `ENOENT`. */
  async get(sid: string): Promise<SessionData | null> {
    try {
      return ((await this.#call('get', [sid])) ?? null) as SessionData | null
    } catch (error) {
      if (isNoSuchSession(error)) return null
      throw error
    }
  }

  /** @param onLate - called where the store answers after all, when the deadline has passed. */
  async set(sid: string, session: SessionData, onLate: () => void): Promise<void> {
    await this.#write('set', [sid, session], onLate)
  }

  /** Keeps a session alive; a store that cannot do only that stores it. */
  async touch(sid: string, session: SessionData, onLate: () => void): Promise<void> {
    await this.#write(this.can('touch') ? 'touch' : 'set', [sid, session], onLate)
  }

  async destroy(sid: string, onLate: () => void): Promise<void> {
    try {
      await this.#write('destroy', [sid], onLate)
    } catch (error) {
      if (!isNoSuchSession(error)) throw error
    }
  }

  /** What `all`, `ids`, `length` and `clear` give, for stores that have them. */
  ask(method: Exclude<Optional, 'touch'>): Promise<unknown> {
    return this.#call(method, [])
  }

  async #write(method: string, args: unknown[], onLate: () => void): Promise<void> {
    await this.#call(method, args, onLate)
    this.#counts.backingWrites++
  }

  #call(name: string, args: unknown[], onLate: () => void = () => {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let isOver = false
      let isLate = false
      const end = (settle: () => void): void => {
        if (isOver) {
          if (isLate) onLate()
          isLate = false
          return
        }
        isOver = true
        clearTimeout(deadline)
        settle()
      }
      const fail = (code: 'ERR_UNAVAILABLE' | 'ERR_TIMEOUT', message: string, cause?: unknown): void => {
        this.#counts.backingFailures++
        reject(new BackingError(code, message, { cause }))
      }
      const deadline = setTimeout(() => {
        isOver = true
        isLate = true
        fail('ERR_TIMEOUT', `The backing store's \`${name}\` did not end within ${this.#timeout} ms`)
      }, this.#timeout)
      const failed = (cause: unknown): void =>
        end(() => fail('ERR_UNAVAILABLE', `The backing store's \`${name}\` failed`, cause))

      const method = (this.#store as unknown as Record<string, Method>)[name] as Method
      // What declares a callback may return a promise as well that ends before the work does.
      const takesCallback = method.length > args.length
      try {
        const returned = method.call(this.#store, ...args, (error?: unknown, value?: unknown) => {
          if (error === undefined || error === null) end(() => resolve(value))
          else failed(error)
        })
        if (isPromise(returned)) {
          returned.then(value => {
            if (value !== undefined || !takesCallback) end(() => resolve(value))
          }, failed)
        }
      } catch (thrown) {
        failed(thrown)
      }
    })
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as Promise<unknown> | undefined)?.then === 'function'
}

/** As express-session understands it (its `index.js`, `store.get` in `session()`). */
function isNoSuchSession(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: unknown } }
  return cause?.code === 'ENOENT'
}
