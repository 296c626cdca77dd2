import type { MemcachedStoreError } from '../../errors.ts'
import type { ServerAddress } from '../address.ts'
import { garbage } from '../failures.ts'
import type { Greeting } from '../protocol.ts'
import { OK } from '../reply.ts'
import {
  frame,
  HEADER_LENGTH,
  loginFrame,
  NOOP,
  RESPONSE_MAGIC,
  SASL_AUTH,
  statusError,
  UNKNOWN_COMMAND,
  VERSION,
  versionLine,
} from './codes.ts'

/** No answer to a greeting is longer. */
const MAX_BODY = 4096

/**
 * Asks for nothing, or, where the address has credentials, for the version and to log in. To a server that
 * speaks text only the first of these is a line, with its end, which it answers with an error.
 */
export class BinaryGreeting implements Greeting {
  readonly opening: Buffer
  readonly #server: string
  /** Of the replies to come. */
  readonly #opcodes: number[]
  #bytes: Buffer = Buffer.alloc(0)

  constructor({ name, username, password }: ServerAddress) {
    this.#server = name
    const isKnown = username !== undefined && password !== undefined
    this.#opcodes = isKnown ? [VERSION, SASL_AUTH] : [NOOP]
    this.opening = isKnown ? Buffer.concat([versionLine(), loginFrame(username, password)]) : frame(NOOP)
  }

  take(bytes: Buffer): 'done' | 'more' | MemcachedStoreError {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    for (;;) {
      const reply = this.#bytes
      const [opcode] = this.#opcodes
      if (opcode === undefined)
        return reply.length === 0 ? 'done' : garbage(this.#server, 'a reply to nobody')
      if (reply.length > 0 && reply[0] !== RESPONSE_MAGIC) return garbage(this.#server)
      if (reply.length < HEADER_LENGTH) return 'more'
      const body = reply.readUInt32BE(8)
      const isWrong = body > MAX_BODY || reply.readUInt16BE(2) + reply.readUInt8(4) > body
      if (isWrong || reply[1] !== opcode) return garbage(this.#server, 'a reply to nobody')
      if (reply.length < HEADER_LENGTH + body) return 'more'
      const status = reply.readUInt16BE(6)
      // A server without SASL wants no login.
      if (status !== OK && status !== UNKNOWN_COMMAND) {
        return statusError(status, this.#server) ?? garbage(this.#server, 'a reply to nobody')
      }
      this.#opcodes.shift()
      this.#bytes = reply.subarray(HEADER_LENGTH + body)
    }
  }
}
