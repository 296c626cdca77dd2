import { AsyncResource } from 'node:async_hooks'
import { ConnectionLostError, closedError, MemcachedStoreError } from '../errors.ts'
import { doubled } from '../pause.ts'
import type { ProtocolName } from './address.ts'
import { Clock } from './clock.ts'
import { Connection } from './connection.ts'
import type { Target } from './exchange.ts'
import type { Findings } from './protocol.ts'
import { EXISTS, Reply } from './reply.ts'
import type { Request } from './request.ts'
import { RequestQueue } from './request-queue.ts'

/** So much may wait for one server. More means one too slow, and piling up helps nobody. */
export const MAX_REQUESTS = 16_384
export const MAX_BYTES: number = 64 * 1024 * 1024

/** No reply is longer than this, or than the largest item. */
const MAX_BODY: number = 64 * 1024 * 1024
/** Milliseconds between two tries to reach a server that has just gone: a random time between these. */
const MIN_PAUSE = 10
const MAX_PAUSE = 50
/** Milliseconds until a server that is down is probed: doubled each time, up to the last. */
const FIRST_PROBE = 100
const LAST_PROBE = 1000

export interface ServerOptions extends Target {
  /** Bytes. */
  readonly maxItemSize: number
  /** Told whenever the server is found to be up, or down. */
  readonly onChange: (up: boolean) => void
}

/**
 * What memjs writes to, in the place of its own `Server`: the requests of one server, over one
 * connection after the other, whatever its protocol. Every request is answered by its deadline.
 *
 * Requests wait for a connection while a probe looks for the server: a connection becomes the one in use
 * once the server has answered its greeting, and no request is risked before. When it breaks, they wait for
 * the next one. A server that stays away for a `timeout` is down, as is one that was never there or does
 * not answer: requests fail at once, and a probe finds out, now and then, whether it is back.
 *
 * What it speaks is found out by the first probe, and again after it was down: binary where that is
 * understood, else text.
 */
export class Server {
  readonly #options: ServerOptions
  /** Connections and timers serve many requests: they run in no request's async context. */
  readonly #scope: AsyncResource = new AsyncResource('MEMCACHED')
  readonly #clock: Clock
  readonly #findings: Findings = { isProxy: false }
  #connection: Connection | null = null
  /** Null while nobody knows. */
  #protocol: ProtocolName | null
  #hasWorked = false
  /** What wants a connection while there is none, and how long its values are. */
  readonly #waiting: RequestQueue = new RequestQueue()
  #waitingLength = 0
  /** What ended the last connection or probe. */
  #lost: MemcachedStoreError | null = null
  /** The time of {@link #clock} from which on a server that was lost is down. */
  #patienceEnds = 0
  #down: MemcachedStoreError | null = null
  /** A connection that has not been greeted yet. */
  #probe: Connection | null = null
  /** Until the next probe, which may leave at this time of `performance.now()` at the earliest. */
  #pause: NodeJS.Timeout | undefined
  #earliest = 0
  #misses = 0
  #closed = false

  /** Handlers of the request that memjs is about to write. */
  #respond!: (reply: Reply) => void
  #fail!: (error: MemcachedStoreError) => void

  constructor(options: ServerOptions) {
    this.#options = options
    this.#protocol = options.address.protocol ?? null
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
    const error = closedError()
    this.#connection?.drop(error)
    this.#probe?.drop(error)
    this.#failWaiting(error)
  }

  #refusal(): MemcachedStoreError | null {
    if (this.#closed) return closedError()
    if (this.#down !== null) return this.#unavailable('is down', this.#down)
    const connection = this.#connection
    const isFull =
      connection === null
        ? this.#waiting.size >= MAX_REQUESTS || this.#waitingLength >= MAX_BYTES
        : connection.requests.size >= MAX_REQUESTS || connection.bytes >= MAX_BYTES
    return isFull ? this.#unavailable('is too slow: too much is waiting for it') : null
  }

  #unavailable(what: string, cause?: MemcachedStoreError | null): MemcachedStoreError {
    const message = `memcached on ${this.#options.address.name} ${what}`
    return new MemcachedStoreError('ERR_UNAVAILABLE', message, { cause })
  }

  #send(request: Request): void {
    const connection = this.#connection
    // The server would take the token for one of its own: see Version.
    if (request.version !== null && request.version.life !== connection)
      process.nextTick(answerExists, request)
    else if (connection !== null) connection.send(request)
    else this.#wait(request)
  }

  #wait(request: Request): void {
    this.#waiting.push(request)
    this.#waitingLength += request.length
    this.#clock.hold()
    this.#scope.runInAsyncScope(this.#probeSoon, this)
  }

  /** Fails what is due, and stops the clock where nothing is to come. */
  #expire(): void {
    const clock = this.#clock
    const waiting = this.#waiting
    const { timeout } = this.#options
    const probe = this.#probe
    if (probe !== null && probe.deadline <= clock.now) probe.drop(this.#silentError())
    while (waiting.first !== null && waiting.first.deadline <= clock.now) {
      const request = waiting.shift()
      this.#waitingLength -= request.length
      request.fail(this.#unavailable(`could not be reached within ${timeout} ms`, this.#lost))
    }
    if (waiting.size === 0) clock.release()
    const isAsked = this.#isAsked()
    if (!isAsked && this.#probe === null && waiting.size === 0 && clock.now >= this.#patienceEnds)
      clock.stop()
  }

  /** Is anything due on the connection? What is too late ends it. */
  #isAsked(): boolean {
    const connection = this.#connection
    if (connection === null) return false
    const { requests } = connection
    const isAsked = requests.size > 0
    if (!isAsked) connection.rest()
    else if (requests.deadline <= this.#clock.now) connection.drop(this.#silentError())
    return isAsked
  }

  #silentError(): MemcachedStoreError {
    const { address, timeout } = this.#options
    const message = `No answer from memcached on ${address.name} within ${timeout} ms`
    return new MemcachedStoreError('ERR_TIMEOUT', message)
  }

  #end(connection: Connection, error: MemcachedStoreError): void {
    this.#lost = error
    if (connection === this.#probe) this.#probeFailed(connection, error)
    else this.#recover(connection, error)
  }

  /** The connection has ended: give up, or go on with another. */
  #recover({ requests, firstUnsent }: Connection, error: MemcachedStoreError): void {
    this.#connection = null
    // It may break, at a restart for one; the server is given another chance.
    const isDown = !(error instanceof ConnectionLostError)
    if (!isDown) this.#bePatient()
    else if (!this.#closed) this.#markDown(error)
    const failed: Request[] = []
    let isSent = true
    for (const request of requests.drain()) {
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

  #markDown(error: MemcachedStoreError): void {
    this.#down = error
    this.#protocol = this.#options.address.protocol ?? null
    this.#probeIn(doubled(this.#misses++, FIRST_PROBE, LAST_PROBE) * (0.5 + Math.random() / 2))
    this.#options.onChange(false)
    this.#failWaiting(this.#hasWorked ? this.#unavailable('is down', error) : error)
  }

  #failWaiting(error: MemcachedStoreError): void {
    this.#waitingLength = 0
    for (const request of this.#waiting.drain()) request.fail(error)
  }

  /** Unless a probe is on its way, or is about to be. */
  #probeSoon(): void {
    if (this.#probe !== null || this.#pause !== undefined) return
    const wait = this.#earliest - performance.now()
    if (wait > 0) this.#probeIn(wait)
    else this.#sendProbe()
  }

  #probeIn(milliseconds: number): void {
    this.#pause = setTimeout(() => this.#sendProbe(), milliseconds).unref()
  }

  #sendProbe(): void {
    this.#pause = undefined
    this.#earliest = performance.now() + MIN_PAUSE + Math.random() * (MAX_PAUSE - MIN_PAUSE)
    this.#dial(this.#protocol ?? 'binary')
  }

  #dial(protocol: ProtocolName): void {
    const clock = this.#clock
    if (!clock.isRunning) clock.start()
    const { address, tls, maxItemSize } = this.#options
    const probe: Connection = new Connection({
      address,
      tls,
      protocol,
      maxBody: Math.max(MAX_BODY, 2 * maxItemSize),
      findings: this.#findings,
      deadline: clock.now + clock.patience,
      left: request => clock.until(request.deadline),
      onReady: () => this.#markUp(probe),
      onEnd: error => this.#scope.runInAsyncScope(this.#end, this, probe, error),
    })
    this.#probe = probe
  }

  #probeFailed({ protocol }: Connection, error: MemcachedStoreError): void {
    this.#probe = null
    if (this.#closed) return
    // It took the connection, and did not answer as it should.
    const isForeign = this.#protocol === null && error instanceof ConnectionLostError
    if (isForeign && protocol === 'binary') {
      // Servers say that they do not understand; proxies hang up.
      this.#findings.isProxy = error.code === 'ERR_UNAVAILABLE'
      this.#dial('text')
    } else {
      this.#giveUp(isForeign && error.code === 'ERR_PROTOCOL' ? this.#notUnderstood(error) : error)
    }
  }

  #notUnderstood(cause: MemcachedStoreError): MemcachedStoreError {
    const { name } = this.#options.address
    const message = `What listens on ${name} understands neither memcached's binary nor its text protocol`
    return new MemcachedStoreError('ERR_PROTOCOL', message, { cause })
  }

  /** No probe has reached the server: try again, or take it for down. */
  #giveUp(error: MemcachedStoreError): void {
    // What is not away, but silent or talks nonsense, will not be better soon.
    const isAway = error.code === 'ERR_UNAVAILABLE'
    if (isAway && this.#down === null && this.#clock.now < this.#patienceEnds) this.#probeSoon()
    else this.#markDown(error)
  }

  /** The server has answered: the probe becomes the connection. */
  #markUp(probe: Connection): void {
    this.#hasWorked = true
    this.#protocol = probe.protocol
    this.#down = null
    this.#misses = 0
    this.#probe = null
    this.#connection = probe
    this.#waitingLength = 0
    for (const request of this.#waiting.drain()) probe.send(request)
    this.#options.onChange(true)
  }
}

function answerExists(request: Request): void {
  request.respond(new Reply(EXISTS))
}
