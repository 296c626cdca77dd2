import type { Socket } from 'node:net'
import { asked, Frames, isMessage } from './frames.ts'
import type { Ending } from './proxy.ts'

/** What a link asks of its proxy, at each message. */
export interface Hooks {
  /** What it asks for: opcodes, in either protocol. */
  request(opcodes: readonly number[]): void
  forwards(): boolean
  /** @param opcode - of the request that it answers; -1 where that is unknown. */
  reply(frame: Buffer, opcode: number): Buffer | null
  /** Milliseconds that a reply takes; Infinity holds. */
  delay(): number
  /** Milliseconds that a request takes. */
  delayThere(): number
  /** Most bytes in one write. */
  piece(): number
  write(bytes: Buffer): void
  closed(): void
}

/** One client's connection and its way to the server. */
export class Link {
  readonly client: Socket
  /** Bytes of replies, since the last fault was set. */
  sent = 0
  readonly #server: Socket
  readonly #there: Way
  readonly #back: Way

  constructor(client: Socket, server: Socket, hooks: Hooks) {
    this.client = client
    this.#server = server
    client.setNoDelay(true)
    server.setNoDelay(true)
    this.#there = new Way(server, bytes => server.write(bytes))
    this.#back = new Way(client, hooks.write)
    const requests = new Frames()
    const replies = new Frames()
    /** Of text, whose replies do not tell. */
    const unanswered: number[] = []
    client.on('data', chunk => {
      for (const frame of requests.take(chunk)) {
        const opcodes = asked(frame)
        hooks.request(opcodes)
        if (!isMessage(frame)) unanswered.push(...opcodes.slice(0, 1))
      }
      if (hooks.forwards()) this.#there.send(chunk, hooks.delayThere())
    })
    server.on('data', chunk => {
      client.cork()
      for (const frame of replies.take(chunk)) {
        const opcode = isMessage(frame) ? (frame[1] as number) : (unanswered.shift() ?? -1)
        const bytes = hooks.reply(frame, opcode)
        if (bytes !== null) this.#back.send(bytes, hooks.delay(), hooks.piece())
      }
      client.uncork()
    })
    client.on('error', () => {})
    server.on('error', () => {})
    server.on('close', () => client.end())
    client.on('close', () => {
      this.#there.drop()
      this.#back.drop()
      server.destroy()
      hooks.closed()
    })
  }

  /** Lets go what is held or late, in its order. */
  release(): void {
    this.#there.release()
    this.#back.release()
  }

  cut(how: Ending): void {
    this.#there.drop()
    this.#back.drop()
    this.#server.destroy()
    // What was written leaves before the end.
    this.client.uncork()
    if (how === 'reset') this.client.resetAndDestroy()
    else this.client.end()
  }
}

/** One direction: what was sent comes late, in its order. */
class Way {
  readonly #to: Socket
  readonly #write: (bytes: Buffer) => void
  #waiting: { due: number; bytes: Buffer; isPiece: boolean }[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(to: Socket, write: (bytes: Buffer) => void) {
    this.#to = to
    this.#write = write
  }

  /** @param delay - milliseconds; Infinity holds. @param piece - most bytes in one turn of the event loop. */
  send(bytes: Buffer, delay: number, piece = Infinity): void {
    if (this.#isOver) return
    if (delay === 0 && bytes.length <= piece && this.#waiting.length === 0) {
      this.#write(bytes)
      return
    }
    const due = performance.now() + delay
    for (let at = 0; at < bytes.length; at += piece) {
      const part = bytes.subarray(at, Math.min(at + piece, bytes.length))
      this.#waiting.push({ due, bytes: part, isPiece: piece < Infinity })
    }
    this.#drainSoon()
  }

  release(): void {
    for (const one of this.#waiting) one.due = 0
    this.#drain()
  }

  drop(): void {
    clearTimeout(this.#timer)
    this.#waiting = []
  }

  get #isOver(): boolean {
    return this.#to.writableEnded || this.#to.destroyed
  }

  #drainSoon(): void {
    clearTimeout(this.#timer)
    const wait = (this.#waiting[0]?.due ?? Infinity) - performance.now()
    if (wait < Infinity) this.#timer = setTimeout(() => this.#drain(), Math.max(wait, 0))
  }

  #drain(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || this.#isOver) return
      if (next.due > performance.now()) break
      this.#waiting.shift()
      this.#write(next.bytes)
      if (next.isPiece) {
        setImmediate(() => this.#drain())
        return
      }
    }
    this.#drainSoon()
  }
}
