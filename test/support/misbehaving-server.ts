import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { build, Frames, isMessage, type Message, parse, RESPONSE } from './frames.ts'
import { until } from './until.ts'

/** What a server does with one request: writes to the socket whatever it likes. */
export type Script = (request: Message, socket: Socket) => void

/** A server that answers what a test says. What the script does is its own; by default it behaves. */
export class MisbehavingServer implements AsyncDisposable {
  /** May be changed at any time, also for connections that are open. */
  script: Script
  /** Called for each connection, before anything is asked. */
  greet: (socket: Socket) => void = () => {}
  connections = 0
  /** All requests so far. */
  readonly requests: Message[] = []
  readonly #server: Server
  readonly #sockets: Set<Socket> = new Set()

  private constructor(script: Script) {
    this.script = script
    this.#server = createServer(socket => this.#accept(socket))
  }

  static async start(script: Script = behave()): Promise<MisbehavingServer> {
    const server = new MisbehavingServer(script)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size
  }

  /** Sends something that nobody asked for, on every connection. */
  push(bytes: Buffer): void {
    for (const socket of this.#sockets) socket.write(bytes)
  }

  /** Ends every connection; the other side has noticed. */
  async hangUp(): Promise<void> {
    for (const socket of this.#sockets) socket.end()
    await until(() => this.#sockets.size === 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(socket: Socket): void {
    this.connections++
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    const frames = new Frames()
    socket.on('data', chunk => {
      for (const frame of frames.take(chunk)) {
        // It speaks the binary protocol only.
        if (!isMessage(frame)) {
          socket.destroy()
          return
        }
        const request = parse(frame)
        this.requests.push(request)
        this.script(request, socket)
      }
    })
    this.greet(socket)
  }
}

/** A reply to this request, as a well-behaved server would send it. */
export function replyTo(request: Message, reply: Partial<Message> = {}): Buffer {
  return build(RESPONSE, { opcode: request.opcode, opaque: request.opaque, ...reply })
}

/** A script that keeps items as memcached does, as far as single reads and unconditional writes go. */
export function behave(): Script {
  const items = new Map<string, { flags: Buffer; value: Buffer }>()
  let cas = 0n
  return (request, socket) => {
    const { opcode, key } = request
    const name = NAMES[opcode]
    if (name === 'write') {
      items.set(key, { flags: request.extras.subarray(0, 4), value: request.value })
      socket.write(replyTo(request, { cas: ++cas }))
    } else if (name === 'get') {
      const item = items.get(key)
      const found = item && { extras: item.flags, value: item.value, cas: 1n }
      socket.write(replyTo(request, found ?? { status: 1, value: Buffer.from('Not found') }))
    } else if (name === 'delete') {
      socket.write(replyTo(request, { status: items.delete(key) ? 0 : 1 }))
    } else {
      socket.write(replyTo(request))
    }
  }
}

const NAMES: Record<number, 'write' | 'get' | 'delete'> = {
  0: 'get',
  1: 'write',
  2: 'write',
  3: 'write',
  4: 'delete',
}
