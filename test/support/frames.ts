/** Messages of memcached's binary protocol, as the tests' own servers see and make them. */

export const HEADER = 24
export const REQUEST = 0x80
export const RESPONSE = 0x81

export const OPCODE = {
  get: 0x00,
  set: 0x01,
  add: 0x02,
  replace: 0x03,
  delete: 0x04,
  noop: 0x0a,
  version: 0x0b,
  touch: 0x1c,
  saslList: 0x20,
  saslAuth: 0x21,
} as const

/** Opcodes that change what is stored. */
export const WRITES: ReadonlySet<number> = new Set([
  OPCODE.set,
  OPCODE.add,
  OPCODE.replace,
  OPCODE.delete,
  OPCODE.touch,
])

export interface Message {
  readonly opcode: number
  /** Of a reply; 0 in a request. */
  readonly status: number
  readonly opaque: number
  readonly cas: bigint
  readonly extras: Buffer
  readonly key: string
  readonly value: Buffer
}

/** Text has no such first byte. */
export function isMessage(frame: Buffer): boolean {
  return frame.length >= HEADER && (frame[0] === REQUEST || frame[0] === RESPONSE)
}

export function parse(frame: Buffer): Message {
  const keyLength = frame.readUInt16BE(2)
  const extrasLength = frame.readUInt8(4)
  const afterExtras = HEADER + extrasLength
  return {
    opcode: frame.readUInt8(1),
    status: frame.readUInt8(0) === RESPONSE ? frame.readUInt16BE(6) : 0,
    opaque: frame.readUInt32BE(12),
    cas: frame.readBigUInt64BE(16),
    extras: frame.subarray(HEADER, afterExtras),
    key: frame.toString('latin1', afterExtras, afterExtras + keyLength),
    value: frame.subarray(afterExtras + keyLength),
  }
}

export function build(magic: typeof REQUEST | typeof RESPONSE, message: Partial<Message>): Buffer {
  const { opcode = 0, status = 0, opaque = 0, cas = 0n, key = '' } = message
  const { extras = Buffer.alloc(0), value = Buffer.alloc(0) } = message
  const body = Buffer.concat([extras, Buffer.from(key, 'latin1'), value])
  const header = Buffer.alloc(HEADER)
  header.writeUInt8(magic, 0)
  header.writeUInt8(opcode, 1)
  header.writeUInt16BE(key.length, 2)
  header.writeUInt8(extras.length, 4)
  header.writeUInt16BE(status, 6)
  header.writeUInt32BE(body.length, 8)
  header.writeUInt32BE(opaque, 12)
  header.writeBigUInt64BE(cas, 16)
  return Buffer.concat([header, body])
}

/** Cuts one direction of a connection into whole messages. What is no message (text, TLS) passes as it comes. */
export class Frames {
  #rest: Buffer = Buffer.alloc(0)

  take(chunk: Buffer): Buffer[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const frames: Buffer[] = []
    let at = 0
    while (at < bytes.length) {
      const isBinary = bytes[at] === REQUEST || bytes[at] === RESPONSE
      const end = isBinary ? endOf(bytes, at) : bytes.length
      if (end > bytes.length) break
      frames.push(bytes.subarray(at, end))
      at = end
    }
    this.#rest = bytes.subarray(at)
    return frames
  }
}

function endOf(bytes: Buffer, at: number): number {
  return bytes.length - at < HEADER ? Infinity : at + HEADER + bytes.readUInt32BE(at + 8)
}
