import { ADD, HEADER_LENGTH, REPLACE, REQUEST_MAGIC, SET, TOUCH } from './protocol.ts'
import type { Request } from './request.ts'

const SIZE = 64 * 1024
/** A character of a string takes at most three bytes in UTF-8. */
const MOST_BYTES = 3

/**
 * Requests on their way out, encoded one after the other into one buffer that leaves in one write:
 * a buffer and a write for each costs 0.5 to 0.9 µs more.
 */
export class Outbox {
  #buffer: Buffer = Buffer.allocUnsafeSlow(SIZE)
  /** Of the same bytes: it writes numbers in one step, a Buffer byte by byte. */
  #view: DataView = viewOf(this.#buffer)
  length = 0

  append(request: Request): void {
    const { opcode, key, value } = request
    const room = HEADER_LENGTH + 8 + key.length + value.length * MOST_BYTES
    if (this.length + room > this.#buffer.length) this.#grow(room)

    const buffer = this.#buffer
    const view = this.#view
    const start = this.length
    let at = start + HEADER_LENGTH
    if (opcode === SET || opcode === REPLACE || opcode === ADD) {
      view.setUint32(at, request.flags)
      view.setUint32(at + 4, request.expiration)
      at += 8
    } else if (opcode === TOUCH) {
      view.setUint32(at, request.expiration)
      at += 4
    }
    const extras = at - start - HEADER_LENGTH
    // Keys are ASCII: see Keys.
    at += buffer.latin1Write(key, at)
    if (typeof value !== 'string') at += value.copy(buffer, at)
    else if (value !== '') at += buffer.utf8Write(value, at)

    view.setUint32(start, (REQUEST_MAGIC << 24) | (opcode << 16) | key.length)
    // Data type and vbucket, which follow, are always 0.
    view.setUint32(start + 4, extras << 24)
    view.setUint32(start + 8, at - start - HEADER_LENGTH)
    view.setUint32(start + 12, request.opaque)
    view.setUint32(start + 16, request.casHigh)
    view.setUint32(start + 20, request.casLow)
    this.length = at
  }

  /** What waits to be sent. The buffer may be used again only after {@link sent}. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length)
  }

  /** @param free - did the system take it all, so that the buffer can serve again? */
  sent(free: boolean): void {
    this.length = 0
    if (!free || this.#buffer.length > SIZE) this.#use(Buffer.allocUnsafeSlow(SIZE))
  }

  #grow(room: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.length + room))
    this.#buffer.copy(larger, 0, 0, this.length)
    this.#use(larger)
  }

  #use(buffer: Buffer): void {
    this.#buffer = buffer
    this.#view = viewOf(buffer)
  }
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
}
