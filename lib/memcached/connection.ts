import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { ConnectionLostError, MemcachedStoreError } from '../errors.ts'
import type { ServerAddress } from './address.ts'
import { dial, saslRequest } from './dial.ts'
import { Outbox, type Parcel } from './outbox.ts'
import { Parser } from './parser.ts'
import { AUTH_ERROR, NOOP, SASL_AUTH, statusError, UNKNOWN_COMMAND } from './protocol.ts'
import { Queue } from './queue.ts'
import { OK, type Reply } from './reply.ts'
import type { Request } from './request.ts'

/**
 * So many bytes are given to the socket at once; what is left waits until it has passed them on. More would
 * take memory twice while a server is slow, and be no faster.
 */
const MOST_WRITTEN: number = 4 * 1024 * 1024

export interface ConnectionOptionsOf {
  readonly address: ServerAddress
  readonly tls: ConnectionOptions | undefined
  /** Bytes; a longer reply is taken for garbage. */
  readonly mostBody: number
  /** The first reply came. */
  readonly onProven: () => void
  /** It has ended, once and for all. What is left in its queue has not been answered. */
  readonly onEnd: (error: MemcachedStoreError) => void
}

/**
 * One socket, from dialling to its end, and everything that belongs to it: when it goes, its bytes and
 * the replies due on it go with it, so none of them can reach a later request.
 */
export class Connection {
  /** Requests without a reply, in the order in which they were sent. */
  readonly queue: Queue = new Queue()
  /** Has it given a reply yet? One that never did is no sign of life. */
  isProven = false
  readonly #options: ConnectionOptionsOf
  readonly #socket: Socket
  readonly #outbox: Outbox = new Outbox()
  readonly #parser: Parser
  #ready = false
  #ended = false
  #held = true
  #flushing = false

  constructor(options: ConnectionOptionsOf) {
    this.#options = options
    this.#parser = new Parser(options.mostBody, this, reply => this.#take(reply))
    const socket = dial(options.address, options.tls, () => this.#greet())
    socket.on('data', bytes => {
      const complaint = this.#parser.push(bytes)
      if (complaint !== null) this.#reject(complaint, bytes)
    })
    socket.on('drain', () => this.#flush())
    socket.on('error', cause => this.#lose(cause))
    socket.on('end', () => this.#lose())
    socket.on('close', () => this.#lose())
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

  send(request: Request): void {
    this.queue.push(request)
    this.#outbox.append(request)
    if (!this.#held && request.opcode !== NOOP) {
      this.#held = true
      this.#socket.ref()
    }
    if (this.#ready) this.#flushSoon()
  }

  /** Nothing is due: an idle connection must not keep the process alive. */
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
    this.#options.onEnd(error)
  }

  /** The socket is open: log in where the address has credentials. */
  #greet(): void {
    const { username, password } = this.#options.address
    if (username === undefined || password === undefined) this.#open()
    else this.#socket.write(saslRequest(username, password))
  }

  #open(): void {
    this.#ready = true
    if (this.#outbox.length > 0) this.#flushSoon()
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
    if (this.#ended || !this.#ready) return
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
    socket.cork()
    for (let parcel: Parcel | null = first; parcel !== null; parcel = this.#outbox.take()) {
      socket.write(parcel.bytes)
      if (parcel.value !== null) socket.write(parcel.value)
      if (socket.writableLength >= MOST_WRITTEN) break
    }
    socket.uncork()
  }

  #take(reply: Reply): boolean {
    const request = this.queue.first
    if (!this.#ready) return this.#takeGreeting(reply)
    if (request === null || reply.opaque !== request.opaque || reply.opcode !== request.opcode) {
      this.#reject('a reply to nobody')
      return false
    }
    const error = reply.status === OK ? null : statusError(reply.status, this.#options.address.name)
    if (error !== null && reply.status === AUTH_ERROR) {
      this.drop(error)
      return false
    }
    this.queue.shift()
    if (!this.isProven) {
      this.isProven = true
      this.#options.onProven()
    }
    if (error === null) request.respond(reply)
    else request.fail(error)
    return !this.#ended
  }

  #takeGreeting(reply: Reply): boolean {
    const error = reply.status === OK ? null : statusError(reply.status, this.#options.address.name)
    if (reply.opcode !== SASL_AUTH) this.#reject('a reply to nobody')
    // A server without SASL wants no login.
    else if (error === null || reply.status === UNKNOWN_COMMAND) this.#open()
    else this.drop(error)
    return !this.#ended
  }

  #reject(complaint: string, bytes?: Buffer): void {
    const server = `memcached on ${this.#options.address.name}`
    // Said as text and before anything else, whatever the protocol (memcached.c, `maxconns_fast`).
    if (!this.isProven && bytes?.toString('latin1').startsWith('ERROR Too many open connections')) {
      this.drop(
        new MemcachedStoreError('ERR_UNAVAILABLE', `${server} has too many connections: raise its -c`),
      )
    } else {
      this.drop(new ConnectionLostError('ERR_PROTOCOL', `${server} sent ${complaint}`))
    }
  }

  #lose(cause?: Error): void {
    if (this.#ended) return
    const server = `memcached on ${this.#options.address.name}`
    this.drop(
      this.#ready
        ? new ConnectionLostError('ERR_UNAVAILABLE', `The connection to ${server} broke`, { cause })
        : new MemcachedStoreError('ERR_UNAVAILABLE', `Cannot connect to ${server}`, { cause }),
    )
  }
}
