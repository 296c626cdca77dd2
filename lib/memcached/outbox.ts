import { ADD, HEADER_LENGTH, REPLACE, REQUEST_MAGIC, SET, TOUCH } from './protocol.ts'
import type { Request } from './request.ts'

/** What `Buffer.write` calls once it has looked at its arguments, which takes longer than a key. */
declare global {
  interface Buffer {
    latin1Write(text: string, offset: number): number
    utf8Write(text: string, offset: number): number
  }
}

const SIZE = 64 * 1024
/** A character of a string takes at most three bytes in UTF-8. */
const MOST_BYTES = 3

/**
 * Requests on their way out, encoded one after the other into one buffer that leaves in one write:
 * a buffer and a write for each costs 0.5 to 0.9 µs more.
 */
export class Outbox {
  #buffer: Buffer = Buffer.allocUnsafeSlow(SIZE)
  length = 0

  append(request: Request): void {
    const { opcode, key, value } = request
    const room = HEADER_LENGTH + 8 + key.length + value.length * MOST_BYTES
    if (this.length + room > this.#buffer.length) this.#grow(room)

    const buffer = this.#buffer
    const start = this.length
    let at = start + HEADER_LENGTH
    if (opcode === SET || opcode === REPLACE || opcode === ADD) {
      buffer.writeUInt32BE(request.flags, at)
      buffer.writeUInt32BE(request.expiration, at + 4)
      at += 8
    } else if (opcode === TOUCH) {
      buffer.writeUInt32BE(request.expiration, at)
      at += 4
    }
    const extras = at - start - HEADER_LENGTH
    // Keys are ASCII: see Keys.
    at += buffer.latin1Write(key, at)
    if (typeof value !== 'string') at += value.copy(buffer, at)
    else if (value !== '') at += buffer.utf8Write(value, at)

    buffer[start] = REQUEST_MAGIC
    buffer[start + 1] = opcode
    buffer[start + 2] = key.length >> 8
    buffer[start + 3] = key.length
    buffer[start + 4] = extras
    // Data type and vbucket, always 0.
    buffer[start + 5] = buffer[start + 6] = buffer[start + 7] = 0
    buffer.writeUInt32BE(at - start - HEADER_LENGTH, start + 8)
    buffer.writeUInt32BE(request.opaque, start + 12)
    buffer.writeUInt32BE(request.casHigh, start + 16)
    buffer.writeUInt32BE(request.casLow, start + 20)
    this.length = at
  }

  /** What waits to be sent. The buffer may be used again only after {@link sent}. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length)
  }

  /** @param free - did the system take it all, so that the buffer can serve again? */
  sent(free: boolean): void {
    this.length = 0
    if (!free || this.#buffer.length > SIZE) this.#buffer = Buffer.allocUnsafeSlow(SIZE)
  }

  #grow(room: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.length + room))
    this.#buffer.copy(larger, 0, 0, this.length)
    this.#buffer = larger
  }
}
