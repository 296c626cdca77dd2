import { AsyncResource } from 'node:async_hooks'
import { ConnectionLostError, MemcachedStoreError } from '../errors.ts'
import { Clock } from './clock.ts'
import { Connection } from './connection.ts'
import type { Target } from './exchange.ts'
import { NOOP } from './protocol.ts'
import { Queue } from './queue.ts'
import { Reply } from './reply.ts'
import { Request } from './request.ts'

/** So much may wait for one server. More means one too slow, and piling up helps nobody. */
export const MOST_REQUESTS = 16_384
export const MOST_BYTES: number = 64 * 1024 * 1024

/** No reply is longer than this, or than the largest item. */
const MOST_BODY: number = 64 * 1024 * 1024
/** Milliseconds between two tries to reach a server that has just gone: a random time between these. */
const SHORTEST_PAUSE = 10
const LONGEST_PAUSE = 50
/** Milliseconds until a server that is down is asked again: doubled each time, up to the last. */
const FIRST_PROBE = 100
const LAST_PROBE = 1000

export interface WireOptions extends Target {
  /** Bytes. */
  readonly maxItemSize: number
  /** Told whenever the server is found to be up, or down. */
  readonly onChange: (up: boolean) => void
}

/**
 * What memjs writes to, in the place of its own `Server`: the requests of one server, over one
 * connection after the other. Every request is answered by its deadline.
 *
 * When a connection that had worked breaks, requests wait for the next one while a scout looks for the
 * server: a connection on which no request is risked until it has answered. A server that stays away for
 * a `timeout` is down, as is one that never worked or does not answer: requests fail at once, and a scout
 * finds out, now and then, whether it is back.
 */
export class Wire {
  readonly #options: WireOptions
  /** Connections and timers serve many requests: they run in no request's async context. */
  readonly #scope: AsyncResource = new AsyncResource('MEMCACHED')
  readonly #clock: Clock
  #connection: Connection | null = null
  #hasWorked = false
  /** What wants a connection while there is none, and how long its values are. */
  readonly #waiting: Queue = new Queue()
  #waitingLength = 0
  /** What ended the last connection or scout. */
  #lost: MemcachedStoreError | null = null
  /** The time of {@link #clock} from which on a server that was lost is down. */
  #patienceEnds = 0
  #down: MemcachedStoreError | null = null
  #scout: Connection | null = null
  /** Until the next scout, which may leave at this time of `performance.now()` at the earliest. */
  #pause: NodeJS.Timeout | undefined
  #soonest = 0
  #probes = 0
  #closed = false

  /** Handlers of the request that memjs is about to write. */
  #respond!: (reply: Reply) => void
  #fail!: (error: MemcachedStoreError) => void

  constructor(options: WireOptions) {
    this.#options = options
    this.#clock = new Clock(options.timeout, () => this.#expire())
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
    const clock = this.#clock
    if (!clock.isRunning) this.#scope.runInAsyncScope(clock.start, clock)
    request.deadline = clock.now + clock.patience
    this.#send(request)
  }

  /** Ends what is on its way, and leaves no socket and no timer. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#pause)
    this.#clock.stop()
    const error = this.#closedError()
    this.#connection?.drop(error)
    this.#scout?.drop(error)
    this.#failWaiting(error)
  }

  #refusal(): MemcachedStoreError | null {
    if (this.#closed) return this.#closedError()
    if (this.#down !== null) return this.#unavailable('is down', this.#down)
    const connection = this.#connection
    const isFull =
      connection === null
        ? this.#waiting.size >= MOST_REQUESTS || this.#waitingLength >= MOST_BYTES
        : connection.queue.size >= MOST_REQUESTS || connection.bytes >= MOST_BYTES
    return isFull ? this.#unavailable('is too slow: too much is waiting for it') : null
  }

  #unavailable(what: string, cause?: MemcachedStoreError | null): MemcachedStoreError {
    const message = `memcached on ${this.#options.address.name} ${what}`
    return new MemcachedStoreError('ERR_UNAVAILABLE', message, { cause })
  }

  #closedError(): MemcachedStoreError {
    return new MemcachedStoreError('ERR_CLOSED', 'The store is closed')
  }

  #send(request: Request): void {
    const connection = this.#connection
    // memcached would take the token for one of its own: see Version.
    if (request.life !== null && request.life !== connection) process.nextTick(answerExists, request)
    else if (connection !== null) connection.send(request)
    else if (this.#hasWorked) this.#wait(request)
    else {
      this.#connection = this.#scope.runInAsyncScope(this.#connect, this)
      this.#connection.send(request)
    }
  }

  #wait(request: Request): void {
    this.#waiting.push(request)
    this.#waitingLength += request.value.length
    this.#clock.hold()
    this.#scope.runInAsyncScope(this.#seekSoon, this)
  }

  #connect(): Connection {
    const { address, tls, maxItemSize } = this.#options
    const connection: Connection = new Connection({
      address,
      tls,
      mostBody: Math.max(MOST_BODY, 2 * maxItemSize),
      onProven: () => this.#rise(connection),
      onEnd: error => this.#scope.runInAsyncScope(this.#end, this, connection, error),
    })
    return connection
  }

  /** Fails what is due, and stops the clock where nothing is to come. */
  #expire(): void {
    const clock = this.#clock
    const waiting = this.#waiting
    while (waiting.first !== null && waiting.first.deadline <= clock.now) {
      const request = waiting.shift()
      this.#waitingLength -= request.value.length
      request.fail(this.#unavailable(`could not be reached within ${this.#options.timeout} ms`, this.#lost))
    }
    if (waiting.size === 0) clock.release()
    const isAsked = this.#isAsked(this.#connection)
    const isSought = this.#isAsked(this.#scout)
    if (!isAsked && !isSought && waiting.size === 0 && clock.now >= this.#patienceEnds) clock.stop()
  }

  /** Is anything due on this connection? What is too late ends it. */
  #isAsked(connection: Connection | null): boolean {
    if (connection === null) return false
    const { first } = connection.queue
    if (first === null) {
      connection.rest()
    } else if (first.deadline <= this.#clock.now) {
      const { address, timeout } = this.#options
      const message = `No answer from memcached on ${address.name} within ${timeout} ms`
      connection.drop(new MemcachedStoreError('ERR_TIMEOUT', message))
    }
    return first !== null
  }

  #end(connection: Connection, error: MemcachedStoreError): void {
    this.#lost = error
    if (connection === this.#scout) this.#miss(error)
    else this.#recover(connection, error)
  }

  /** A connection has ended: give up, or go on with another. */
  #recover({ queue, isProven, firstUnsent }: Connection, error: MemcachedStoreError): void {
    this.#connection = null
    // A connection that had worked may break, at a restart for one; the server is given another chance.
    const isDown = !isProven || !(error instanceof ConnectionLostError)
    if (!isDown) this.#bePatient()
    else if (!this.#closed) this.#fall(error)
    const failed: Request[] = []
    let isSent = true
    for (const request of queue.drain()) {
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
      const left = this.#clock.until(request.deadline)
      request.fail(error instanceof ConnectionLostError ? error.withRemaining(left) : error)
    }
  }

  /** From now on the server has a timeout's time to come back. */
  #bePatient(): void {
    const clock = this.#clock
    if (!clock.isRunning) clock.start()
    this.#patienceEnds = clock.now + clock.patience
  }

  #fall(error: MemcachedStoreError): void {
    this.#down = error
    const wait = Math.min(FIRST_PROBE * 2 ** this.#probes++, LAST_PROBE)
    this.#seekIn(wait * (0.5 + Math.random() / 2))
    this.#options.onChange(false)
    this.#failWaiting(this.#unavailable('is down', error))
  }

  #failWaiting(error: MemcachedStoreError): void {
    this.#waitingLength = 0
    for (const request of this.#waiting.drain()) request.fail(error)
  }

  /** Unless one is on its way, or is about to be. */
  #seekSoon(): void {
    if (this.#scout !== null || this.#pause !== undefined) return
    const wait = this.#soonest - performance.now()
    if (wait > 0) this.#seekIn(wait)
    else this.#seek()
  }

  #seekIn(milliseconds: number): void {
    this.#pause = setTimeout(() => this.#seek(), milliseconds).unref()
  }

  #seek(): void {
    this.#pause = undefined
    this.#soonest = performance.now() + SHORTEST_PAUSE + Math.random() * (LONGEST_PAUSE - SHORTEST_PAUSE)
    const clock = this.#clock
    if (!clock.isRunning) clock.start()
    const request = new Request(NOOP, 0, '')
    request.deadline = clock.now + clock.patience
    this.#scout = this.#connect()
    this.#scout.rest()
    this.#scout.send(request)
  }

  #miss(error: MemcachedStoreError): void {
    this.#scout = null
    if (this.#closed) return
    // What is not away, but silent or talks nonsense, will not be better soon.
    const isAway = error.code === 'ERR_UNAVAILABLE'
    if (isAway && this.#down === null && this.#clock.now < this.#patienceEnds) this.#seekSoon()
    else this.#fall(error)
  }

  /** The server has answered, on a connection's first request. */
  #rise(connection: Connection): void {
    this.#hasWorked = true
    this.#down = null
    this.#probes = 0
    if (connection === this.#scout) {
      this.#scout = null
      this.#connection = connection
      this.#waitingLength = 0
      for (const request of this.#waiting.drain()) connection.send(request)
    }
    this.#options.onChange(true)
  }
}

function answerExists(request: Request): void {
  request.respond(Reply.exists(request))
}
