import { ConnectionLostError, MemcachedStoreError } from '../errors.ts'
import type { DeletableRecords, DeleteOutcome, SideRecord, WriteOutcome } from '../storage/storage.ts'

/** What is kept is kept for up to a second more than it is sure to be, so that this is the shortest lease. In seconds. */
const MIN_SECONDS = 2
/** So often in a row the lock is found to be ours and yet of another version: no connection breaks more often. */
const MAX_ATTEMPTS = 5
/** Milliseconds between two looks for what a lost request has left behind; they double up to the longest. */
const FIRST_LOOK = 100
const MAX_LOOK = 5000
/** So many answers that there is nothing of ours end them: what was on its way has come by then. */
const ENOUGH_LOOKS = 2

/** What a lease is told of, and tells. */
export interface LeaseOwner {
  /** Will nobody look after what is left behind? */
  readonly isClosed: boolean
  /** The lock was lost while it was held. */
  lost(sid: string): void
  /** Nothing of it is left. */
  ended(lease: Lease): void
}

/** The lock of a session while it is held: a record with the holder's token. */
export class Lease {
  readonly #records: DeletableRecords
  readonly #owner: LeaseOwner
  readonly #sid: string
  readonly #token: string
  /** Within so many seconds it is free should this process die. */
  readonly #seconds: number
  /** Milliseconds for which the lock is sure to be ours after it was set. */
  readonly #sure: number
  readonly #controller: AbortController = new AbortController()
  #taking: Promise<boolean> | undefined
  /** The lock as it is stored; undefined while we do not have it. */
  #item: SideRecord | undefined
  /** When it may be gone unless it is renewed: a time of `performance.now()`. */
  #until = 0
  #timer: NodeJS.Timeout | undefined
  #renewal: Promise<void> | undefined
  #releasing: Promise<void> | undefined
  #isLost = false
  /** Until when a request of unknown outcome may have left the lock behind: a time of `performance.now()`. */
  #unsureUntil = 0

  /** @param seconds - until the lock is free should this process die. */
  constructor(records: DeletableRecords, owner: LeaseOwner, sid: string, token: string, seconds: number) {
    this.#records = records
    this.#owner = owner
    this.#sid = sid
    this.#token = token
    this.#seconds = Math.max(Math.ceil(seconds), MIN_SECONDS)
    this.#sure = (this.#seconds - 1) * 1000
  }

  /** Aborted, with the error, when the lock is not ours any more although it was not released. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Takes the lock if it is free, and renews it until it is released. */
  take(): Promise<boolean> {
    this.#taking = this.#take()
    return this.#taking
  }

  /**
   * Frees the lock, unless it is somebody else's by now; a lock that was not got, too, should a request
   * for it turn out to have succeeded. Does not fail: what cannot be freed now is looked after in the
   * background, and goes by itself after the lease.
   */
  release(): Promise<void> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  /** The same for a store that closes: whoever holds the lock is told. */
  async end(reason: MemcachedStoreError): Promise<void> {
    await this.#taking?.catch(() => {})
    if (this.#releasing === undefined) this.#controller.abort(reason)
    await this.release()
    if (this.#isUnsure) await this.#freeIfOurs().catch(() => {})
  }

  /** Tells its holder that it cannot rely on the lock any more. */
  lose(): void {
    if (this.#isLost) return
    this.#isLost = true
    clearTimeout(this.#timer)
    if (this.signal.aborted) return
    this.#controller.abort(
      new MemcachedStoreError(
        'ERR_CONFLICT',
        'The lock of a session was lost while it was held: another request may have come in between',
      ),
    )
    this.#owner.lost(this.#sid)
  }

  get #isUnsure(): boolean {
    return performance.now() < this.#unsureUntil
  }

  async #take(): Promise<boolean> {
    const sent = performance.now()
    const item = await this.#add()
    if (item === null) return false
    this.#item = item
    // This process may have slept, and somebody else may have had the lock since.
    if (performance.now() - sent >= this.#sure) return await this.#extend()
    this.#keep(item, sent)
    return true
  }

  /** The lock, or null where somebody else has it. */
  async #add(): Promise<SideRecord | null> {
    try {
      const added = await this.#write(null)
      if (typeof added === 'object') return added
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error
    }
    // Whose is it? The reply was lost, or one of before was, and that request has succeeded since.
    return this.#isUnsure && (await this.#find()) ? (this.#item as SideRecord) : null
  }

  #write(over: SideRecord | null): Promise<WriteOutcome> {
    return this.#minded(this.#records.write(this.#sid, this.#token, this.#sure, over))
  }

  #delete(): Promise<DeleteOutcome> {
    return this.#records.delete(this.#sid, this.#item as SideRecord)
  }

  /** Keeps in mind that a request without an answer may be carried out yet. */
  async #minded<T>(request: Promise<T>): Promise<T> {
    try {
      return await request
    } catch (error) {
      if (!wasNotSent(error)) this.#unsureUntil = performance.now() + (this.#seconds + 1) * 1000
      throw error
    }
  }

  #keep(item: SideRecord, sent: number): void {
    this.#item = item
    this.#until = sent + this.#sure
    this.#renewSoon()
  }

  /** Three times before it may be gone, so that one failure does not cost it. */
  #renewSoon(): void {
    const wait = Math.min(this.#sure / 3, Math.max(this.#until - performance.now(), 0))
    this.#timer = setTimeout(() => {
      this.#renewal = this.#renew().catch(() => {
        // Cannot be reached: it is ours for as long as it was sure to be, and may be reached again by then.
        if (performance.now() >= this.#until) this.lose()
        else this.#renewSoon()
      })
    }, wait).unref()
  }

  async #renew(): Promise<void> {
    if (!(await this.#extend())) this.lose()
  }

  /** Sets the lock again if it is still ours. */
  async #extend(): Promise<boolean> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const sent = performance.now()
      const extended = await this.#write(this.#item as SideRecord)
      if (typeof extended === 'object') {
        // Whatever was on its way before was conditional on what this has replaced.
        this.#unsureUntil = 0
        this.#keep(extended, sent)
        return true
      }
      // An earlier renewal whose reply was lost may have changed it; or the version was of a connection that is gone.
      if (extended === 'missing' || !(await this.#find())) break
    }
    this.#item = undefined
    return false
  }

  async #release(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#renewal
    // A renewal that was on its way has set it again.
    clearTimeout(this.#timer)
    if (this.#item !== undefined && !this.#isLost) await this.#free()
    if (this.#isUnsure) void this.#lookAfter()
    else this.#owner.ended(this)
  }

  async #free(): Promise<void> {
    let repeated = false
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      try {
        const outcome = await this.#minded(this.#delete())
        if (outcome === 'deleted') return
        if (outcome === 'missing' || !(await this.#find())) {
          // After a lost reply, a lock that is gone is one that was freed.
          if (!repeated) this.lose()
          return
        }
      } catch (error) {
        if (performance.now() >= this.#until) this.lose()
        if (this.#isLost || repeated || !(error instanceof ConnectionLostError)) return
        repeated = true
      }
    }
  }

  /** Frees, in the background, what a request of unknown outcome may have left behind. */
  async #lookAfter(): Promise<void> {
    let looks = 0
    for (let wait = FIRST_LOOK; this.#isUnsure && looks < ENOUGH_LOOKS; wait = Math.min(wait * 2, MAX_LOOK)) {
      await new Promise(resolve => setTimeout(resolve, wait).unref())
      if (this.#owner.isClosed) break
      try {
        if (await this.#freeIfOurs()) break
        looks++
      } catch {
        // Cannot be reached: later.
      }
    }
    this.#owner.ended(this)
  }

  async #freeIfOurs(): Promise<boolean> {
    if (!(await this.#find())) return false
    return (await this.#delete()) === 'deleted'
  }

  /** Is the lock still ours? Takes up its version then. */
  async #find(): Promise<boolean> {
    const found = await this.#records.read(this.#sid)
    if (found?.text !== this.#token) return false
    this.#item = found
    return true
  }
}

/** Did the server surely not get this request? It was down, could not be reached, or refused. */
function wasNotSent(error: unknown): boolean {
  return (
    error instanceof MemcachedStoreError &&
    !(error instanceof ConnectionLostError) &&
    (error.code === 'ERR_UNAVAILABLE' || error.code === 'ERR_CLOSED')
  )
}
