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

/** Cuts one direction of a connection into whole messages. What is none (listings, TLS) passes as it comes. */
export class Frames {
  #rest: Buffer = Buffer.alloc(0)

  take(chunk: Buffer): Buffer[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const frames: Buffer[] = []
    let at = 0
    while (at < bytes.length) {
      const isBinary = bytes[at] === REQUEST || bytes[at] === RESPONSE
      const end = isBinary ? endOf(bytes, at) : endOfText(bytes, at)
      if (end > bytes.length) break
      frames.push(bytes.subarray(at, end))
      at = end
    }
    this.#rest = bytes.subarray(at)
    return frames
  }
}

/** A status as a reply tells it, in whichever protocol. */
export function isRefused(reply: Buffer): boolean {
  return isMessage(reply)
    ? reply.readUInt16BE(6) !== 0
    : /^(EXISTS|NOT_)/.test(reply.toString('latin1', 0, 9))
}

/** The same reply, but that somebody else has written. */
export function refuse(reply: Buffer): Buffer {
  if (!isMessage(reply)) return Buffer.from('EXISTS\r\n')
  const refused = Buffer.from(reply)
  refused.writeUInt16BE(2, 6)
  return refused
}

/** What a request asks for: an opcode for each key, none for what is no message. */
export function asked(frame: Buffer): number[] {
  if (isMessage(frame)) return [frame[1] as number]
  const [verb = '', ...words] = lineAt(frame, 0)?.split(' ') ?? []
  if (verb === 'version') return [OPCODE.noop]
  if (verb === 'gets') return words.map(() => OPCODE.get)
  // Long ago: a delete on a condition.
  if (verb === 'cas') return [words[2] === '2592001' ? OPCODE.delete : OPCODE.replace]
  return verb in TEXT_WRITES ? [OPCODE[verb as keyof typeof TEXT_WRITES]] : []
}

const TEXT_WRITES = { set: 4, add: 4, replace: 4, cas: 4, delete: 0 } as Record<
  'set' | 'add' | 'replace' | 'delete',
  number
>
const TEXT_REPLY =
  /^(END|STORED|NOT_STORED|EXISTS|NOT_FOUND|DELETED|VERSION|SERVER_ERROR|CLIENT_ERROR|ERROR)\b/

function endOf(bytes: Buffer, at: number): number {
  return bytes.length - at < HEADER ? Infinity : at + HEADER + bytes.readUInt32BE(at + 8)
}

function endOfText(bytes: Buffer, at: number): number {
  const line = lineAt(bytes, at)
  if (line === undefined) {
    return /^[a-zA-Z_]{1,12}( |$)/.test(bytes.toString('latin1', at, at + 13)) ? Infinity : bytes.length
  }
  const end = at + line.length + 2
  const words = line.split(' ')
  const verb = words[0] as string
  if (verb === 'VALUE') return endOfText(bytes, end + Number(words[3]) + 2)
  if (TEXT_REPLY.test(line) || verb === 'gets' || verb === 'version') return end
  if (!(verb in TEXT_WRITES)) return bytes.length
  const length = TEXT_WRITES[verb as 'set']
  return length === 0 ? end : end + Number(words[length]) + 2
}

/** Without its end; undefined where that has not come. */
function lineAt(bytes: Buffer, at: number): string | undefined {
  const end = at > bytes.length ? -1 : bytes.indexOf('\r\n', at)
  return end === -1 ? undefined : bytes.toString('latin1', at, end)
}
