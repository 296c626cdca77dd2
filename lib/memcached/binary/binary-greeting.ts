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
} from './codes.ts'

/** No answer to a greeting is longer. */
const MAX_BODY = 4096

/** Asks for nothing, or logs in where the address has credentials. */
export class BinaryGreeting implements Greeting {
  readonly opening: Buffer
  readonly #server: string
  readonly #opcode: number
  #bytes: Buffer = Buffer.alloc(0)

  constructor({ name, username, password }: ServerAddress) {
    this.#server = name
    const isKnown = username !== undefined && password !== undefined
    this.#opcode = isKnown ? SASL_AUTH : NOOP
    this.opening = isKnown ? loginFrame(username, password) : frame(NOOP)
  }

  take(bytes: Buffer): 'done' | 'more' | MemcachedStoreError {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    const reply = this.#bytes
    if (reply[0] !== RESPONSE_MAGIC) return garbage(this.#server)
    if (reply.length < HEADER_LENGTH) return 'more'
    const body = reply.readUInt32BE(8)
    const end = HEADER_LENGTH + body
    const isWrong = body > MAX_BODY || reply.readUInt16BE(2) + reply.readUInt8(4) > body
    if (isWrong || reply[1] !== this.#opcode || reply.length > end) {
      return garbage(this.#server, 'a reply to nobody')
    }
    if (reply.length < end) return 'more'
    const status = reply.readUInt16BE(6)
    // A server without SASL wants no login.
    if (status === OK || status === UNKNOWN_COMMAND) return 'done'
    return statusError(status, this.#server) ?? garbage(this.#server, 'a reply to nobody')
  }
}
