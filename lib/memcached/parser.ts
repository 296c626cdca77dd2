import type { Reply } from './node.ts'
import { HEADER_LENGTH, RESPONSE_MAGIC } from './protocol.ts'

/** A reply as it came, with what is needed to tell whose it is. */
export interface RawReply extends Reply {
  readonly opcode: number
  readonly opaque: number
}

/** Takes a reply; false stops the parser (the connection is gone, or the reply is nobody's). */
export type TakeReply = (reply: RawReply) => boolean

/**
 * Cuts a connection's bytes into replies. Values are views of the bytes that came; only a reply that
 * arrives in pieces is copied, once, when its last piece is there.
 */
export class Parser {
  readonly #take: TakeReply
  readonly #mostBody: number
  #pieces: Buffer[] = []
  #have = 0
  #need = HEADER_LENGTH

  /** @param mostBody - bytes; a reply that claims a longer body is taken for garbage. */
  constructor(mostBody: number, take: TakeReply) {
    this.#mostBody = mostBody
    this.#take = take
  }

  /** Gives what is wrong with the bytes, or null. After a complaint, or a stop, nothing more may be pushed. */
  push(chunk: Buffer): string | null {
    if (this.#have === 0) return this.#parse(chunk)
    this.#pieces.push(chunk)
    this.#have += chunk.length
    if (this.#have < this.#need) return null
    const whole = Buffer.concat(this.#pieces, this.#have)
    this.#pieces = []
    this.#have = 0
    return this.#parse(whole)
  }

  #parse(bytes: Buffer): string | null {
    let at = 0
    for (;;) {
      const left = bytes.length - at
      if (left < HEADER_LENGTH) return this.#keep(bytes, at, HEADER_LENGTH)
      if (bytes[at] !== RESPONSE_MAGIC) return 'bytes that are no reply'
      const keyLength = bytes.readUInt16BE(at + 2)
      const extras = bytes[at + 4] as number
      const body = bytes.readUInt32BE(at + 8)
      if (body > this.#mostBody) return 'a reply longer than any session'
      if (keyLength + extras > body) return 'a reply whose parts are longer than the whole'
      const end = at + HEADER_LENGTH + body
      if (end > bytes.length) return this.#keep(bytes, at, HEADER_LENGTH + body)
      const opcode = bytes[at + 1] as number
      const reply = {
        opcode,
        opaque: bytes.readUInt32BE(at + 12),
        status: bytes.readUInt16BE(at + 6),
        flags: extras === 4 ? bytes.readUInt32BE(at + HEADER_LENGTH) : 0,
        casHigh: bytes.readUInt32BE(at + 16),
        casLow: bytes.readUInt32BE(at + 20),
        value: bytes.subarray(at + HEADER_LENGTH + extras + keyLength, end),
      }
      at = end
      if (!this.#take(reply)) return null
    }
  }

  #keep(bytes: Buffer, at: number, need: number): null {
    if (at < bytes.length) {
      this.#pieces = [at === 0 ? bytes : bytes.subarray(at)]
      this.#have = bytes.length - at
    }
    this.#need = need
    return null
  }
}
