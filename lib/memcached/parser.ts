import { HEADER_LENGTH, RESPONSE_MAGIC } from './protocol.ts'
import { Reply } from './reply.ts'

/** Takes a reply; false stops the parser (the connection is gone, or the reply is nobody's). */
export type TakeReply = (reply: Reply) => boolean

/**
 * Cuts a connection's bytes into replies. Values are views of the bytes that came; only a reply that
 * arrives in pieces is copied, once, when its last piece is there.
 */
export class Parser {
  readonly #take: TakeReply
  readonly #mostBody: number
  readonly #life: object
  #pieces: Buffer[] = []
  #have = 0
  #need = HEADER_LENGTH

  /**
   * @param mostBody - bytes; a reply that claims a longer body is taken for garbage.
   * @param life - the connection, for the versions in its replies.
   */
  constructor(mostBody: number, life: object, take: TakeReply) {
    this.#mostBody = mostBody
    this.#life = life
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
    // A view reads numbers in one step, a Buffer byte by byte.
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let at = 0
    for (;;) {
      const left = bytes.length - at
      if (left < HEADER_LENGTH) return this.#keep(bytes, at, HEADER_LENGTH)
      if (view.getUint8(at) !== RESPONSE_MAGIC) return 'bytes that are no reply'
      const keyLength = view.getUint16(at + 2)
      const extras = view.getUint8(at + 4)
      const body = view.getUint32(at + 8)
      if (body > this.#mostBody) return 'a reply longer than any session'
      if (keyLength + extras > body) return 'a reply whose parts are longer than the whole'
      const start = at + HEADER_LENGTH
      const end = start + body
      if (end > bytes.length) return this.#keep(bytes, at, HEADER_LENGTH + body)
      const opcode = view.getUint8(at + 1)
      const reply = new Reply(
        opcode,
        view.getUint32(at + 12),
        view.getUint16(at + 6),
        extras === 4 ? view.getUint32(start) : 0,
        this.#life,
        view.getUint32(at + 16),
        view.getUint32(at + 20),
        bytes,
        start + extras + keyLength,
        end,
      )
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
