import { ConnectionLostError, MemcachedStoreError } from '../../errors.ts'
import type { Item } from '../../memcached/node.ts'
import { EXISTS, OK, type Reply } from '../../memcached/reply.ts'
import type { Context } from '../context.ts'
import { replied } from '../item.ts'

/**
 * memcached's clock ticks in whole seconds, so that what is set for 2 s lives for something between 1
 * and 2; what is set for 1 s may go at once.
 */
const SHORTEST = 2

/** The lock of a session while it is held: an item of memcached with the holder's token. */
export class Lease {
  readonly #context: Context
  readonly #sid: string
  readonly #token: string
  /** What memcached is told. */
  readonly #seconds: number
  /** Milliseconds for which the lock is sure to be ours after it was set. */
  readonly #sure: number
  readonly #controller: AbortController = new AbortController()
  #item!: Reply
  /** When it may be gone unless it is renewed: a time of `performance.now()`. */
  #until = 0
  #timer: NodeJS.Timeout | undefined
  #renewal: Promise<void> | undefined

  /** @param seconds - until the lock is free should this process die. */
  constructor(context: Context, sid: string, token: string, seconds: number) {
    this.#context = context
    this.#sid = sid
    this.#token = token
    this.#seconds = Math.max(Math.ceil(seconds), SHORTEST)
    this.#sure = (this.#seconds - 1) * 1000
  }

  /** Aborted, with the error, when the lock is not ours any more although it was not released. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Takes the lock if it is free, and renews it until it is released. */
  async take(): Promise<boolean> {
    const sent = performance.now()
    const item = await this.#add()
    if (item === null) return false
    this.#keep(item, sent)
    return true
  }

  /** Frees the lock, unless it is somebody else's by now. Does not fail: then the lock goes by itself. */
  async release(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#renewal
    // A renewal that was on its way has set it again.
    clearTimeout(this.#timer)
    if (this.signal.aborted) return
    let repeated = false
    while (!this.signal.aborted) {
      try {
        const reply = await replied(done => {
          this.#home.delete(this.#key, this.#item.version, done)
        })
        if (reply.status === OK) return
        // After a lost reply, a lock that is gone is one that was freed.
        if (repeated) return
        if (reply.status !== EXISTS || !(await this.#find())) this.lose()
      } catch (error) {
        if (performance.now() >= this.#until) this.lose()
        if (!(error instanceof ConnectionLostError) || repeated) return
      }
      repeated = true
    }
  }

  get #key(): string {
    return this.#context.keys.ofLock(this.#sid)
  }

  get #lock(): Item {
    return { key: this.#key, value: this.#token, flags: 0, expiration: this.#seconds }
  }

  get #home(): ReturnType<Context['cluster']['home']> {
    return this.#context.cluster.home(this.#key)
  }

  /** The item, or null where somebody else has the lock. */
  async #add(): Promise<Reply | null> {
    try {
      const reply = await replied(done => {
        this.#home.write('add', this.#lock, null, done)
      })
      return reply.status === OK ? reply : null
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error
      // The reply was lost: whose is it?
      const reply = await replied(done => this.#home.get(this.#key, done))
      return this.#isOurs(reply) ? reply : null
    }
  }

  #keep(item: Reply, sent: number): void {
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
    const sent = performance.now()
    const reply = await replied(done => {
      this.#home.write('replace', this.#lock, this.#item.version, done)
    })
    if (reply.status === OK) this.#keep(reply, sent)
    // An earlier renewal whose reply was lost may have changed it.
    else if (reply.status === EXISTS && (await this.#find())) await this.#renew()
    else this.lose()
  }

  /** Is the lock still ours? Takes up its CAS token then. */
  async #find(): Promise<boolean> {
    const reply = await replied(done => this.#home.get(this.#key, done))
    if (!this.#isOurs(reply)) return false
    this.#item = reply
    return true
  }

  #isOurs(reply: Reply): boolean {
    return reply.status === OK && reply.text === this.#token
  }

  /** Tells its holder that it cannot rely on the lock any more. */
  lose(): void {
    if (this.signal.aborted) return
    this.#controller.abort(
      new MemcachedStoreError(
        'ERR_CONFLICT',
        'The lock of a session was lost while it was held: another request may have come in between',
      ),
    )
    this.#context.emit('conflict', this.#sid, { outcome: 'lease-lost' })
  }
}
