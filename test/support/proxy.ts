import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { isMessage, OPCODE, WRITES } from './frames.ts'
import { freePort } from './port.ts'
import { Link } from './proxy-link.ts'

/** How a connection is cut: FIN after what was sent, or RST. */
export type Ending = 'fin' | 'reset'

/** What becomes of a reply to such a request; null lets it vanish. */
export type Tamper = (reply: Buffer, opcode: number) => Buffer | null

/** A TCP proxy in front of a memcached: counts what passes by and does harm on demand, to all its connections. */
export class TcpProxy implements AsyncDisposable {
  /** Connections accepted so far. */
  connections = 0
  /** Replies that came from the server, whatever became of them. */
  replies = 0
  /** Connections that were greeted: asked whether anybody is there. */
  greetings = 0
  /** Requests that came by, by opcode; greetings are none. */
  readonly requests: Map<number, number> = new Map()

  readonly #target: Target
  readonly #port: number
  readonly #server: Server
  readonly #links: Set<Link> = new Set()
  #tamper: Tamper | null = null
  #delay = 0
  #delayThere = 0
  #piece = Infinity
  #forwards = true
  #cut: { after: number; how: Ending; times: number } | null = null

  private constructor({ hostname, port }: URL, ownPort: number) {
    this.#target = { host: hostname, port: Number(port) }
    this.#port = ownPort
    this.#server = createServer(client => this.#accept(client))
  }

  /** @param target - `host:port` of a memcached. */
  static async start(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(new URL(`tcp://${target}`), await freePort())
    await proxy.#listen()
    return proxy
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#links.size
  }

  /** How many requests came by: of these opcodes, or of all. */
  count(...opcodes: number[]): number {
    let sum = 0
    for (const [opcode, times] of this.requests)
      if (opcodes.length === 0 || opcodes.includes(opcode)) sum += times
    return sum
  }

  /** Ends every fault: what was held flows on, what was refused is accepted. */
  async pass(): Promise<void> {
    this.#tamper = null
    this.#delay = 0
    this.#delayThere = 0
    this.#piece = Infinity
    this.#forwards = true
    this.#cut = null
    for (const link of this.#links) link.release()
    if (!this.#server.listening) await this.#listen()
  }

  /** Each reply comes so many milliseconds later. */
  delay(ms: number): void {
    this.#delay = ms
  }

  /** A network so far away: requests take half of this, replies the other half. */
  roundTrip(ms: number): void {
    this.#delayThere = ms / 2
    this.#delay = ms / 2
  }

  /** Replies wait here, in their order, until {@link pass}. */
  hold(): void {
    this.#delay = Infinity
  }

  /** The same from the next answer to this opcode on; resolves when that has come. */
  holdFrom(opcode: number): Promise<void> {
    return new Promise(resolve => {
      this.#tamper = (reply, answered) => {
        if (answered === opcode) {
          this.hold()
          resolve()
        }
        return reply
      }
    })
  }

  /** Replies come in pieces of so many bytes, one in each turn of the event loop. */
  inPieces(bytes: number): void {
    this.#piece = bytes
  }

  /** Each reply passes through this. */
  tamper(change: Tamper): void {
    this.#tamper = change
  }

  /** Requests arrive, replies vanish. */
  swallow(): void {
    this.#tamper = () => null
  }

  /** Connections are accepted and kept, and nothing passes. */
  silence(): void {
    this.#forwards = false
  }

  /** The next write reaches the server; its reply does not come back, and the connection ends so (or stays silent). */
  loseNextReply(how: Ending | 'silence'): void {
    this.#tamper = (reply, opcode) => {
      if (!WRITES.has(opcode)) return reply
      this.#tamper = how === 'silence' ? () => null : null
      if (how !== 'silence') this.cutNow(how)
      return null
    }
  }

  /** Cuts every connection that is open. */
  cutNow(how: Ending): void {
    for (const link of this.#links) link.cut(how)
  }

  /** A connection is cut after so many further bytes of replies; so many connections in all. */
  cutAfter(bytes: number, how: Ending, times = 1): void {
    this.#cut = { after: bytes, how, times }
    for (const link of this.#links) link.sent = 0
  }

  /** Nobody listens any more, and nobody is connected. */
  async refuse(): Promise<void> {
    this.cutNow('reset')
    this.#server.close()
    await once(this.#server, 'close')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.refuse()
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  #accept(client: Socket): void {
    this.connections++
    const link = new Link(client, connect(this.#target), {
      request: opcodes => this.#note(opcodes),
      forwards: () => this.#forwards,
      reply: (frame, opcode) => {
        this.replies++
        return this.#tamper === null ? frame : this.#tamper(frame, opcode)
      },
      delay: () => this.#delay,
      delayThere: () => this.#delayThere,
      piece: () => this.#piece,
      write: bytes => this.#write(link, bytes),
      closed: () => this.#links.delete(link),
    })
    this.#links.add(link)
  }

  #note(opcodes: readonly number[]): void {
    for (const opcode of opcodes) {
      if (opcode === OPCODE.noop) this.greetings++
      else this.requests.set(opcode, (this.requests.get(opcode) ?? 0) + 1)
    }
  }

  #write(link: Link, bytes: Buffer): void {
    const cut = this.#cut
    if (cut === null || link.sent + bytes.length < cut.after) {
      link.sent += bytes.length
      link.client.write(bytes)
      return
    }
    if (--cut.times === 0) this.#cut = null
    link.client.write(bytes.subarray(0, cut.after - link.sent))
    link.cut(cut.how)
  }
}

interface Target {
  readonly host: string
  readonly port: number
}

/** Tampers with a reply's opaque, so that it belongs to a request that was never sent. */
export function foreignOpaque(reply: Buffer): Buffer {
  const changed = Buffer.from(reply)
  changed.writeUInt32BE((changed.readUInt32BE(12) + 0x1000_0000) >>> 0, 12)
  return changed
}

/** Announces a body of so many bytes; in text, a value. */
export function bodyLength(bytes: number): Tamper {
  return reply => {
    if (!isMessage(reply)) {
      const text = reply.toString('latin1').replace(/^(VALUE \S+ \d+) \d+/, `$1 ${bytes}`)
      return Buffer.from(text, 'latin1')
    }
    const changed = Buffer.from(reply)
    changed.writeUInt32BE(bytes, 8)
    return changed
  }
}
