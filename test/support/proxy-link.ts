import type { Socket } from 'node:net'
import { Frames } from './frames.ts'
import type { Ending } from './proxy.ts'

/** What a link asks of its proxy, at each message. */
export interface Hooks {
  request(frame: Buffer): void
  forwards(): boolean
  reply(frame: Buffer): Buffer | null
  /** Milliseconds; Infinity holds. */
  delay(): number
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
  readonly #hooks: Hooks
  #waiting: { due: number; bytes: Buffer }[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(client: Socket, server: Socket, hooks: Hooks) {
    this.client = client
    this.#server = server
    this.#hooks = hooks
    client.setNoDelay(true)
    server.setNoDelay(true)
    const requests = new Frames()
    const replies = new Frames()
    client.on('data', chunk => {
      for (const frame of requests.take(chunk)) hooks.request(frame)
      if (hooks.forwards() && !server.destroyed) server.write(chunk)
    })
    server.on('data', chunk => {
      client.cork()
      for (const frame of replies.take(chunk)) this.#reply(frame)
      client.uncork()
    })
    client.on('error', () => {})
    server.on('error', () => {})
    server.on('close', () => client.end())
    client.on('close', () => {
      clearTimeout(this.#timer)
      server.destroy()
      hooks.closed()
    })
  }

  /** Lets go what is held or late, in its order. */
  release(): void {
    for (const one of this.#waiting) one.due = 0
    this.#drain()
  }

  cut(how: Ending): void {
    this.#waiting = []
    this.#server.destroy()
    // What was written leaves before the end.
    this.client.uncork()
    if (how === 'reset') this.client.resetAndDestroy()
    else this.client.end()
  }

  #reply(frame: Buffer): void {
    const bytes = this.#hooks.reply(frame)
    if (bytes === null || this.client.writableEnded || this.client.destroyed) return
    const delay = this.#hooks.delay()
    const piece = this.#hooks.piece()
    if (delay === 0 && bytes.length <= piece && this.#waiting.length === 0) {
      this.#hooks.write(bytes)
      return
    }
    const due = performance.now() + delay
    for (let at = 0; at < bytes.length; at += piece) {
      this.#waiting.push({ due, bytes: bytes.subarray(at, Math.min(at + piece, bytes.length)) })
    }
    this.#drainSoon()
  }

  #drainSoon(): void {
    clearTimeout(this.#timer)
    const wait = (this.#waiting[0]?.due ?? Infinity) - performance.now()
    if (wait < Infinity) this.#timer = setTimeout(() => this.#drain(), wait)
  }

  #drain(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || this.client.writableEnded || this.client.destroyed) return
      if (next.due > performance.now()) break
      this.#waiting.shift()
      this.#hooks.write(next.bytes)
      if (this.#hooks.piece() < Infinity) {
        setImmediate(() => this.#drain())
        return
      }
    }
    this.#drainSoon()
  }
}
