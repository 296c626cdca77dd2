import { ConnectionLostError, MemcachedStoreError } from '../../lib/errors.ts'
import type { ProtocolName } from '../../lib/memcached/address.ts'
import type { Item, MemcachedNode, ReplyCallback, Version, WriteMode } from '../../lib/memcached/node.ts'
import { EXISTS, Reply } from '../../lib/memcached/reply.ts'
import { CasVersion } from '../../lib/memcached/version.ts'
import type { Random } from './random.ts'
import { type Answer, type Command, type Link, NOBODY, type SimulatedServer } from './server.ts'
import type { Clock, Event, VirtualTime } from './virtual-time.ts'

/** Told of all that goes over the wire, for a story. */
type Listener = (clock: Clock, server: string, said: Command | Answer | string) => void

export interface NodeOptions {
  readonly time: VirtualTime
  readonly random: Random
  readonly server: SimulatedServer
  /** The process it belongs to. */
  readonly clock: Clock
  /** Milliseconds; the option of the store. */
  readonly timeout: number
  /** Milliseconds one way, on average. */
  readonly latency: number
  readonly protocol: ProtocolName
  readonly onChange: (isUp: boolean) => void
  /** Told where the outcome of a request is not known. */
  readonly onDoubt: () => void
  readonly listen: Listener | undefined
}

interface Pending {
  readonly command: Command
  readonly done: ReplyCallback
  readonly deadline: number
  isRepeated: boolean
  timer: Event | undefined
}

/** Milliseconds between two looks at a server that is down, or that refuses to be connected to. */
const PROBE = 1000
const RETRY = 25

/**
 * A server as a process sees it, with what the real transport makes of it: one connection after the other,
 * replies in order, a deadline for each request, and a server that is marked down when it let one pass.
 */
export class SimulatedNode implements MemcachedNode {
  readonly address: string
  readonly #options: NodeOptions
  #link: Connection | null = null
  #queue: Pending[] = []
  #down: MemcachedStoreError | null = null
  #isClosed = false

  constructor(options: NodeOptions) {
    this.address = options.server.name
    this.#options = options
  }

  get(key: string, done: ReplyCallback): void {
    this.#ask({ what: 'get', key }, done)
  }

  write(mode: WriteMode, item: Item, version: Version | null, done: ReplyCallback): void {
    if (this.#isOfAnotherLife(version)) this.#refuse(done)
    else this.#ask({ what: mode, key: item.key, item, cas: casOf(version) }, done)
  }

  delete(key: string, version: Version | null, done: ReplyCallback): void {
    if (this.#isOfAnotherLife(version)) this.#refuse(done)
    else this.#ask({ what: 'delete', key, cas: casOf(version) }, done)
  }

  async walk(): Promise<never> {
    throw new MemcachedStoreError('ERR_NOT_SUPPORTED', 'A simulated server lists nothing')
  }

  async statistics(): Promise<never> {
    throw new MemcachedStoreError('ERR_NOT_SUPPORTED', 'A simulated server tells nothing of itself')
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#drop()
    this.#fail(this.#take(), new MemcachedStoreError('ERR_CLOSED', 'The store is closed'))
  }

  #isOfAnotherLife(version: Version | null): boolean {
    return version !== null && version.life !== this.#link && this.#down === null && !this.#isClosed
  }

  #refuse(done: ReplyCallback): void {
    this.#listen('not sent: the version is of another connection')
    process.nextTick(done, null, new Reply(EXISTS))
  }

  #ask(command: Command, done: ReplyCallback): void {
    const refusal = this.#isClosed
      ? new MemcachedStoreError('ERR_CLOSED', 'The store is closed')
      : this.#down !== null
        ? new MemcachedStoreError('ERR_UNAVAILABLE', 'memcached is down', { cause: this.#down })
        : null
    if (refusal !== null) {
      this.#listen(command)
      this.#listen('not sent: the server is marked down')
      process.nextTick(done, refusal, null)
      return
    }
    const { time, timeout, clock } = this.#options
    const deadline = time.now + timeout
    const pending: Pending = { command, done, deadline, isRepeated: false, timer: undefined }
    pending.timer = time.at(deadline, clock, () => this.#expire())
    this.#send(pending)
  }

  #send(pending: Pending): void {
    this.#queue.push(pending)
    this.#link ??= this.#connect()
    this.#link.send(pending)
  }

  #connect(): Connection {
    return new Connection(this.#options, {
      reply: (pending, answer, life) => {
        if (this.#link !== life) return
        this.#queue.shift()
        this.#options.time.cancel(pending.timer)
        const { status, flags, cas, value } = answer
        const { protocol } = this.#options
        // Over text only a read tells the version.
        const tellsVersion = protocol === 'binary' || pending.command.what === 'get'
        const isTold = tellsVersion && cas !== 0
        const reply = new Reply(status, isTold ? new CasVersion(life, 0, cas) : null, value)
        reply.tellsVersion = tellsVersion
        reply.flags = flags
        pending.done(null, reply)
      },
      lose: life => {
        if (this.#link === life) this.#recover(life)
      },
      refuse: life => {
        if (this.#link === life) this.#dialAgain()
      },
    })
  }

  /** The connection broke: what may be asked twice is asked again, of the rest the outcome is not known. */
  #recover(life: Connection): void {
    this.#drop()
    const failed: Pending[] = []
    for (const pending of this.#take()) {
      const isRepeatable = pending.command.what === 'get'
      if (life.hasSent(pending) && (pending.isRepeated || !isRepeatable)) {
        failed.push(pending)
      } else {
        pending.isRepeated ||= life.hasSent(pending)
        this.#send(pending)
      }
    }
    const { time, onDoubt } = this.#options
    if (failed.length > 0) onDoubt()
    const error = new ConnectionLostError('ERR_UNAVAILABLE', 'The connection broke')
    for (const pending of failed) {
      time.cancel(pending.timer)
      pending.done(error.withRemaining(pending.deadline - time.now), null)
    }
  }

  /** Nobody listens there: requests wait for the server to come back, each until its deadline. */
  #dialAgain(): void {
    const { time, clock } = this.#options
    const waiting = this.#link
    time.after(RETRY, clock, () => {
      if (this.#link !== waiting) return
      this.#link = this.#connect()
      for (const pending of this.#queue) this.#link.send(pending)
    })
  }

  /** One has waited for too long: the connection is dropped, and the server is down. */
  #expire(): void {
    const error = this.#link?.isRefused
      ? new MemcachedStoreError('ERR_UNAVAILABLE', 'memcached could not be reached in time')
      : new MemcachedStoreError('ERR_TIMEOUT', 'No answer from memcached in time')
    this.#drop()
    this.#down = error
    this.#options.onChange(false)
    this.#probeSoon()
    this.#fail(this.#take(), error)
  }

  #probeSoon(): void {
    const { time, random, clock, server, latency } = this.#options
    time.after(random.between(PROBE / 10, PROBE), clock, () => {
      if (this.#isClosed) return
      if (server.isUp && !server.isFrozen) {
        time.after(2 * latency, clock, () => this.#rise())
      } else {
        this.#probeSoon()
      }
    })
  }

  #rise(): void {
    this.#down = null
    this.#listen('the server is back')
    this.#options.onChange(true)
  }

  #drop(): void {
    this.#link = null
  }

  #take(): Pending[] {
    const queue = this.#queue
    this.#queue = []
    return queue
  }

  #fail(failed: Pending[], error: MemcachedStoreError): void {
    if (failed.length > 0) this.#listen(error.message)
    for (const pending of failed) {
      this.#options.time.cancel(pending.timer)
      pending.done(error, null)
    }
  }

  #listen(said: Command | Answer | string): void {
    this.#options.listen?.(this.#options.clock, this.address, said)
  }
}

interface Ends {
  readonly reply: (pending: Pending, answer: Answer, life: Connection) => void
  readonly lose: (life: Connection) => void
  readonly refuse: (life: Connection) => void
}

/** One connection: what is sent on it arrives in order, and so do the replies. It is its own `life`. */
class Connection implements Link {
  isCut = false
  readonly #options: NodeOptions
  readonly #ends: Ends
  readonly #sent: Set<Pending> = new Set()
  /** Did nobody listen there? */
  readonly isRefused: boolean
  #arrival = 0
  #return = 0

  constructor(options: NodeOptions, ends: Ends) {
    this.#options = options
    this.#ends = ends
    this.isRefused = !options.server.isUp
    if (this.isRefused) options.time.after(options.latency, options.clock, () => ends.refuse(this))
    else options.server.connect(this)
  }

  hasSent(pending: Pending): boolean {
    return this.#sent.has(pending)
  }

  send(pending: Pending): void {
    if (this.isRefused) return
    const { time, server, listen, clock } = this.#options
    const { command } = pending
    this.#sent.add(pending)
    listen?.(clock, server.name, command)
    this.#arrival = Math.max(this.#arrival, time.now + this.#latency())
    time.at(this.#arrival, NOBODY, () => {
      server.receive(this, command, answer => {
        this.#return = Math.max(this.#return, time.now + this.#latency())
        time.at(this.#return, clock, () => {
          if (this.isCut) return
          listen?.(clock, server.name, answer)
          this.#ends.reply(pending, answer, this)
        })
      })
    })
  }

  /** The server ended it; this end hears of it later. Replies that were on their way are lost with it. */
  onCut(): void {
    const { time, clock, listen, server } = this.#options
    time.after(this.#latency(), clock, () => {
      listen?.(clock, server.name, 'the connection broke')
      this.#ends.lose(this)
    })
  }

  #latency(): number {
    const { random, latency } = this.#options
    const usual = latency * (0.5 + random.next())
    return random.chance(0.02) ? usual * 20 : usual
  }
}

function casOf(version: Version | null): number {
  return version === null ? 0 : (version as CasVersion).low
}
