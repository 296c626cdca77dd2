import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { ConnectionLostError, MemcachedStoreError } from '../errors.ts'
import type { ProtocolName, ServerAddress } from './address.ts'
import { dial } from './dial.ts'
import { tooManyConnections } from './failures.ts'
import { Inbox } from './inbox.ts'
import { Outbox, type Parcel } from './outbox.ts'
import type { Findings, Greeting, Line, Protocol } from './protocol.ts'
import { PROTOCOLS } from './protocols.ts'
import type { Request } from './request.ts'
import { RequestQueue } from './request-queue.ts'

/**
 * So many bytes are given to the socket at once; what is left waits until it has passed them on. More would
 * take memory twice while a server is slow, and be no faster.
 */
const MAX_WRITTEN: number = 4 * 1024 * 1024

export interface ConnectionSettings {
  readonly address: ServerAddress
  readonly tls: ConnectionOptions | undefined
  readonly protocol: ProtocolName
  /** Bytes; a longer reply is taken for garbage. */
  readonly maxBody: number
  readonly findings: Findings
  /** Milliseconds that are left of a request's time. */
  readonly left: (request: Request) => number
  /** The time, in milliseconds of the server's clock, by which it must be ready. */
  readonly deadline: number
  /** The server has answered the greeting: requests may be sent. */
  readonly onReady: () => void
  /** It has ended, once and for all. What is left in its queue has not been answered. */
  readonly onEnd: (error: MemcachedStoreError) => void
}

/**
 * One socket, from dialling to its end, and everything that belongs to it: when it goes, its bytes and
 * the replies due on it go with it, so none of them can reach a later request.
 */
export class Connection implements Line {
  readonly server: string
  readonly protocol: ProtocolName
  readonly maxBody: number
  readonly findings: Findings
  readonly deadline: number
  readonly requests: RequestQueue = new RequestQueue()
  readonly #settings: ConnectionSettings
  readonly #socket: Socket
  readonly #speech: Protocol
  readonly #inbox: Inbox
  readonly #outbox: Outbox
  #greeting: Greeting | null
  #isDialled = false
  #ended = false
  #held = false
  #flushing = false

  constructor(settings: ConnectionSettings) {
    const { address, tls, protocol, maxBody, findings, deadline } = settings
    this.server = address.name
    this.protocol = protocol
    this.maxBody = maxBody
    this.findings = findings
    this.deadline = deadline
    this.#settings = settings
    this.#greeting = PROTOCOLS[protocol].greet(address)
    this.#speech = PROTOCOLS[protocol].speak(this)
    this.#inbox = new Inbox(this.#speech)
    this.#outbox = new Outbox(this.#speech)
    const { buffer } = this.#inbox
    const socket = dial(address, tls, () => this.#greet(), {
      buffer,
      callback: length => this.#take(buffer.subarray(0, length)),
    })
    socket.on('drain', () => this.#flush())
    socket.on('error', cause => this.#lose(cause))
    socket.on('end', () => this.#lose())
    socket.on('close', () => this.#lose())
    // While nothing is due on it, it must not keep the process alive.
    socket.unref()
    this.#socket = socket
  }

  /** Bytes that wait to be sent. */
  get bytes(): number {
    return this.#outbox.length + this.#socket.writableLength
  }

  /** The first request that has certainly not reached the server, with all that follow it. */
  get firstUnsent(): Request | null {
    return this.#outbox.first
  }

  /** Once it is ready. */
  send(request: Request): void {
    this.requests.push(request)
    this.#outbox.append(request)
    if (!this.#held) {
      this.#held = true
      this.#socket.ref()
    }
    this.#flushSoon()
  }

  left(request: Request): number {
    return this.#settings.left(request)
  }

  /** Nothing is due. */
  rest(): void {
    if (!this.#held) return
    this.#held = false
    this.#socket.unref()
  }

  /** Ends it. */
  drop(error: MemcachedStoreError): void {
    if (this.#ended) return
    this.#ended = true
    this.#socket.destroy()
    this.#settings.onEnd(error)
  }

  #greet(): void {
    this.#isDialled = true
    this.#socket.write((this.#greeting as Greeting).opening)
  }

  /** Gives whether to read on. */
  #take(bytes: Buffer): boolean {
    const error = this.#greeting === null ? this.#inbox.take(bytes) : this.#welcome(this.#greeting, bytes)
    if (error !== null) this.drop(error)
    return !this.#ended
  }

  #welcome(greeting: Greeting, bytes: Buffer): MemcachedStoreError | null {
    const step = tooManyConnections(this.server, bytes) ?? greeting.take(bytes)
    if (step === 'done') {
      this.#greeting = null
      this.#settings.onReady()
    }
    if (step instanceof Buffer) this.#socket.write(step)
    return step instanceof Error ? step : null
  }

  /**
   * Once per turn of the event loop, after all sockets that had something were read: so the requests
   * of many visitors share a write, which is the greatest part of the cost of a small request.
   */
  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#flushing = false
    if (this.#ended) return
    const socket = this.#socket
    const outbox = this.#outbox
    const parcel = outbox.take()
    if (parcel === null) return
    if (outbox.length === 0 && parcel.value === null) socket.write(parcel.bytes)
    else this.#writeAll(parcel)
    if (socket.writableLength === 0) outbox.reuse()
  }

  /** Several buffers, in one write. */
  #writeAll(first: Parcel): void {
    const socket = this.#socket
    const { valueEnd } = this.#speech
    socket.cork()
    for (let parcel: Parcel | null = first; parcel !== null; parcel = this.#outbox.take()) {
      socket.write(parcel.bytes)
      if (parcel.value !== null) {
        socket.write(parcel.value)
        if (valueEnd !== null) socket.write(valueEnd)
      }
      if (socket.writableLength >= MAX_WRITTEN) break
    }
    socket.uncork()
  }

  #lose(cause?: Error): void {
    if (this.#ended) return
    const server = `memcached on ${this.server}`
    this.drop(
      this.#isDialled
        ? new ConnectionLostError('ERR_UNAVAILABLE', `The connection to ${server} broke`, { cause })
        : new MemcachedStoreError('ERR_UNAVAILABLE', `Cannot connect to ${server}`, { cause }),
    )
  }
}
