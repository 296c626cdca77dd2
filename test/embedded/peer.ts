import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { build, HEADER, type Message, parse, REQUEST, RESPONSE } from '../support/frames.ts'

/** A binary request; `total` overrides the body length that the header states. */
export interface RequestParts {
  key?: string
  extras?: Buffer
  value?: string | Buffer
  cas?: bigint
  opaque?: number
  total?: number
}

/** A response, its value as Latin-1. */
export type Frame = Omit<Message, 'value'> & { value: string }

/** The bytes of a binary request. */
export function request(opcode: number, { total, value = '', ...parts }: RequestParts = {}): Buffer {
  const bytes = build(REQUEST, { ...parts, opcode, value: Buffer.from(value) })
  if (total !== undefined) bytes.writeUInt32BE(total, 8)
  return bytes
}

/** 32-bit numbers as extras. */
export function uint32(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(4 * numbers.length)
  for (const [i, number] of numbers.entries()) bytes.writeUInt32BE(number, 4 * i)
  return bytes
}

/** The extras of incr and decr. */
export function delta(by: bigint, initial = 0n, expiration = 0xffffffff): Buffer {
  const bytes = Buffer.alloc(20)
  bytes.writeBigUInt64BE(by, 0)
  bytes.writeBigUInt64BE(initial, 8)
  bytes.writeUInt32BE(expiration, 16)
  return bytes
}

/** A bare client: sends any bytes, and reads replies of either protocol. */
export class Peer {
  readonly socket: Socket
  #received: Buffer[] = []
  #length = 0
  #closed = false
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', chunk => {
      this.#received.push(chunk)
      this.#length += chunk.length
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  static async connect(port: number): Promise<Peer> {
    const socket = connect(port, '127.0.0.1')
    const peer = new Peer(socket)
    await once(socket, 'connect')
    return peer
  }

  send(...bytes: (Buffer | string)[]): void {
    this.socket.write(Buffer.concat(bytes.map(part => Buffer.from(part as string, 'latin1'))))
  }

  async take(length: number): Promise<Buffer> {
    while (this.#length < length) {
      if (this.#closed) throw new Error(`Closed with ${this.#length} of ${length} bytes`)
      await this.#more()
    }
    const all = this.#joined()
    this.#received = [all.subarray(length)]
    this.#length -= length
    return all.subarray(0, length)
  }

  /** The next line, without its line end. */
  async line(): Promise<string> {
    let length = 0
    for (;;) {
      const end = this.#joined().indexOf('\n', length)
      if (end !== -1) return (await this.take(end + 1)).toString('latin1').replace(/\r?\n$/, '')
      length = this.#length
      if (this.#closed) throw new Error('Closed before the end of a line')
      await this.#more()
    }
  }

  /** Lines up to and with the one that says END. */
  async lines(): Promise<string[]> {
    const lines: string[] = []
    while (lines.at(-1) !== 'END') lines.push(await this.line())
    return lines
  }

  async frame(): Promise<Frame> {
    const header = await this.take(HEADER)
    if (header[0] !== RESPONSE) throw new Error(`Not a response: ${header.toString('latin1')}`)
    const body = await this.take(header.readUInt32BE(8))
    const message = parse(Buffer.concat([header, body]))
    return { ...message, value: message.value.toString('latin1') }
  }

  /** Sends one binary request and gives its response. */
  ask(opcode: number, parts: RequestParts = {}): Promise<Frame> {
    this.send(request(opcode, parts))
    return this.frame()
  }

  /** Sends text and gives everything up to the reply of a `version` sent after it. */
  async text(commands: string): Promise<string> {
    this.send(commands, 'version\r\n')
    let replies = ''
    for (;;) {
      const line = await this.line()
      if (line.startsWith('VERSION')) return replies
      replies += `${line}\r\n`
    }
  }

  /** Everything that comes until the server closes the connection. */
  async rest(): Promise<Buffer> {
    while (!this.#closed) await this.#more()
    return this.take(this.#length)
  }

  close(): void {
    this.socket.destroy()
  }

  /** Joins pieces once: a reply of many lines is not copied for each of them. */
  #joined(): Buffer {
    if (this.#received.length > 1) this.#received = [Buffer.concat(this.#received)]
    return this.#received[0] ?? Buffer.alloc(0)
  }

  #more(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }
}
