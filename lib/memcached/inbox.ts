import type { MemcachedStoreError } from '../errors.ts'
import type { Protocol } from './protocol.ts'

const SIZE = 64 * 1024

/**
 * What comes, on its way to the protocol. The socket reads into one buffer, again and again: one of its own for each
 * read costs several µs more. So the reply that has not come whole is copied, once where its length is known.
 */
export class Inbox {
  /** What the socket reads into. */
  readonly buffer: Buffer = Buffer.allocUnsafeSlow(SIZE)
  readonly #protocol: Protocol
  /** The beginning of a reply whose length is not known yet. */
  #beginning: Buffer | null = null
  /** A reply that comes in pieces, and how much of it is there. */
  #reply: Buffer | null = null
  #have = 0

  constructor(protocol: Protocol) {
    this.#protocol = protocol
  }

  /** Takes what has been read. Gives what ends the connection, or null. */
  take(bytes: Buffer): MemcachedStoreError | null {
    const reply = this.#reply
    if (reply === null) return this.#parse(this.#beginning === null ? bytes : this.#joined(bytes))
    const copied = bytes.copy(reply, this.#have)
    this.#have += copied
    if (this.#have < reply.length) return null
    this.#reply = null
    return this.#parse(reply) ?? (copied < bytes.length ? this.#parse(bytes.subarray(copied)) : null)
  }

  #joined(bytes: Buffer): Buffer {
    const joined = Buffer.concat([this.#beginning as Buffer, bytes])
    this.#beginning = null
    return joined
  }

  #parse(bytes: Buffer): MemcachedStoreError | null {
    const rest = this.#protocol.parse(bytes)
    if (rest === null || rest instanceof Error) return rest
    const { at, length } = rest
    if (length === null) {
      this.#beginning = Buffer.from(bytes.subarray(at))
    } else {
      this.#reply = Buffer.allocUnsafeSlow(length)
      this.#have = bytes.copy(this.#reply, 0, at)
    }
    return null
  }
}
