import { AsyncResource } from 'node:async_hooks'
import { ConnectionLostError, MemcachedStoreError } from '../errors.ts'
import { Connection } from './connection.ts'
import type { Target } from './exchange.ts'
import { NOOP } from './protocol.ts'
import type { Reply } from './reply.ts'
import { Request } from './request.ts'

/** So much may wait on one connection. More means a server too slow, and piling up helps nobody. */
export const MOST_REQUESTS = 16_384
export const MOST_BYTES: number = 64 * 1024 * 1024

/** No reply is longer than this, or than the largest item. */
const MOST_BODY: number = 64 * 1024 * 1024
/** Milliseconds between two looks at the deadlines, at most; a short timeout is looked at ten times. */
const LONGEST_TICK = 25
/** Milliseconds until a server that is down is asked again: doubled each time, up to the last. */
const FIRST_PROBE = 100
const LAST_PROBE = 5000

export interface WireOptions extends Target {
  /** Bytes. */
  readonly maxItemSize: number
  /** Told whenever the server is found to be up, or down. */
  readonly onChange: (up: boolean) => void
}

/**
 * What memjs writes to, in the place of its own `Server`: the requests of one server, over one
 * connection after the other. Every request is answered by its deadline. A server that failed is down:
 * requests fail at once, and a probe in the background finds out when it is back.
 */
export class Wire {
  readonly #options: WireOptions
  /** Connection and timers serve many requests: they run in no request's async context, and keep none alive. */
  readonly #scope: AsyncResource = new AsyncResource('MEMCACHED')
  #connection: Connection | null = null
  #down: MemcachedStoreError | null = null
  #probes = 0
  #probe: NodeJS.Timeout | undefined
  #closed = false

  /*
   * Deadlines go by a clock that one timer advances, by two of its ticks at most: that costs a request
   * nothing, and a process that was itself busy for a second looks at its socket before it blames the
   * server.
   */
  readonly #tickLength: number
  readonly #patience: number
  #clock = 0
  #ticked = 0
  #ticker: NodeJS.Timeout | undefined

  /** Handlers of the request that memjs is about to write. */
  #respond!: (reply: Reply) => void
  #fail!: (error: MemcachedStoreError) => void

  constructor(options: WireOptions) {
    this.#options = options
    this.#tickLength = Math.max(1, Math.min(LONGEST_TICK, Math.floor(options.timeout / 10)))
    // A tick more, since the clock may lag by one.
    this.#patience = options.timeout + this.#tickLength
  }

  /** The server, for who needs a connection of his own. */
  get target(): Target {
    return this.#options
  }

  /** For memjs, which says before each request who is to be called. */
  onResponse(_opaque: number, respond: (reply: Reply) => void): void {
    this.#respond = respond
  }

  onError(_opaque: number, fail: (error: MemcachedStoreError) => void): void {
    this.#fail = fail
  }

  /** For memjs. The request is answered exactly once, and not before this returns. */
  write(request: Request): void {
    request.onReply = this.#respond
    request.onFailure = this.#fail
    const refusal = this.#refusal()
    if (refusal !== null) {
      process.nextTick(request.onFailure, refusal)
      return
    }
    request.deadline = this.#clock + this.#patience
    this.#send(request)
  }

  /** Ends what is on its way, and leaves no socket and no timer. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#probe)
    clearInterval(this.#ticker)
    this.#connection?.drop(this.#closedError())
  }

  #refusal(): MemcachedStoreError | null {
    const connection = this.#connection
    if (this.#closed) return this.#closedError()
    if (this.#down !== null) return this.#unavailable('is down', this.#down)
    if (connection !== null && (connection.queue.size >= MOST_REQUESTS || connection.bytes >= MOST_BYTES)) {
      return this.#unavailable('is too slow: too much is waiting for it')
    }
    return null
  }

  #unavailable(what: string, cause?: MemcachedStoreError): MemcachedStoreError {
    const message = `memcached on ${this.#options.address.name} ${what}`
    return new MemcachedStoreError('ERR_UNAVAILABLE', message, { cause })
  }

  #closedError(): MemcachedStoreError {
    return new MemcachedStoreError('ERR_CLOSED', 'The store is closed')
  }

  #send(request: Request): void {
    this.#connection ??= this.#scope.runInAsyncScope(this.#connect, this)
    this.#connection.send(request)
    if (this.#ticker === undefined) this.#scope.runInAsyncScope(this.#startClock, this)
  }

  #connect(): Connection {
    const { address, tls, maxItemSize } = this.#options
    return new Connection({
      address,
      tls,
      mostBody: Math.max(MOST_BODY, 2 * maxItemSize),
      onProven: () => this.#rise(),
      onEnd: error => this.#scope.runInAsyncScope(this.#recover, this, error),
    })
  }

  #startClock(): void {
    this.#ticked = performance.now()
    this.#ticker = setInterval(() => this.#tick(), this.#tickLength).unref()
  }

  #tick(): void {
    const now = performance.now()
    this.#clock += Math.min(now - this.#ticked, 2 * this.#tickLength)
    this.#ticked = now
    const due = this.#connection?.queue.first
    if (due != null) {
      if (due.deadline > this.#clock) return
      const { address, timeout } = this.#options
      this.#connection?.drop(
        new MemcachedStoreError(
          'ERR_TIMEOUT',
          `No answer from memcached on ${address.name} within ${timeout} ms`,
        ),
      )
      return
    }
    this.#connection?.rest()
    clearInterval(this.#ticker)
    this.#ticker = undefined
  }

  /** A connection has ended: give up, or go on with another. */
  #recover(error: MemcachedStoreError): void {
    const { queue, isProven, firstUnsent } = this.#connection as Connection
    this.#connection = null
    // A connection that had worked may break, at a restart for one; the server is given another chance.
    const isDown = !isProven || !(error instanceof ConnectionLostError)
    if (isDown && !this.#closed) this.#fall(error)
    const failed: Request[] = []
    let isSent = true
    for (let request = queue.first, next: Request | null; request !== null; request = next) {
      next = request.next
      if (request === firstUnsent) isSent = false
      if (isDown || (isSent && (request.repeated || !request.isRepeatable))) {
        failed.push(request)
      } else {
        request.repeated ||= isSent
        this.#send(request)
      }
    }
    // Only now: whoever hears of a failure may send more, and deadlines must stay in order.
    for (const request of failed) {
      const left = request.deadline - this.#clock
      request.fail(error instanceof ConnectionLostError ? error.withRemaining(left) : error)
    }
  }

  #fall(error: MemcachedStoreError): void {
    this.#down = error
    const wait = Math.min(FIRST_PROBE * 2 ** this.#probes++, LAST_PROBE)
    this.#probe = setTimeout(() => this.#ask(), wait * (0.5 + Math.random() / 2)).unref()
    this.#options.onChange(false)
  }

  /** Asks a server that is down whether it is back. */
  #ask(): void {
    const request = new Request(NOOP, 0, '')
    request.deadline = this.#clock + this.#patience
    request.repeated = true
    this.#connection = this.#connect()
    this.#connection.rest()
    this.#send(request)
  }

  /** The server has answered. */
  #rise(): void {
    this.#down = null
    this.#probes = 0
    this.#options.onChange(true)
  }
}
