import type { MemcachedStoreError } from '../../errors.ts'
import { garbage } from '../failures.ts'
import { leavesApart, type Page } from '../page.ts'
import type { Line, Protocol, Rest } from '../protocol.ts'
import { OK, Reply } from '../reply.ts'
import type { Request } from '../request.ts'
import { CasVersion } from '../version.ts'
import { AUTH_ERROR, HEADER_LENGTH, REQUEST_MAGIC, RESPONSE_MAGIC, statusError } from './codes.ts'

/** Flags and expiration. */
const ITEM_EXTRAS = 8

/** The binary protocol on one connection. Values are views of the bytes that came. */
export class BinaryProtocol implements Protocol {
  readonly valueEnd: null = null
  readonly #line: Line

  constructor(line: Line) {
    this.#line = line
  }

  encode(request: Request, { bytes, view }: Page, start: number): number {
    const { operation, key, item, version } = request
    const extras = item === null ? 0 : ITEM_EXTRAS
    let at = start + HEADER_LENGTH + extras
    // Keys are ASCII: see Keys.
    at += bytes.latin1Write(key, at)
    let apart = 0
    if (item !== null) {
      const { value } = item
      view.setUint32(start + HEADER_LENGTH, item.flags)
      view.setUint32(start + HEADER_LENGTH + 4, item.expiration)
      if (leavesApart(value)) apart = value.length
      else if (typeof value === 'string') at += bytes.utf8Write(value, at)
      else at += value.copy(bytes, at)
    }
    view.setUint32(start, (REQUEST_MAGIC << 24) | (operation << 16) | key.length)
    // Data type and vbucket, which follow, are always 0.
    view.setUint32(start + 4, extras << 24)
    view.setUint32(start + 8, at - start - HEADER_LENGTH + apart)
    view.setUint32(start + 12, request.opaque)
    view.setUint32(start + 16, version === null ? 0 : version.high)
    view.setUint32(start + 20, version === null ? 0 : version.low)
    return at
  }

  parse(bytes: Buffer): Rest | MemcachedStoreError | null {
    const { requests, server, maxBody } = this.#line
    // A view reads numbers in one step, a Buffer byte by byte.
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let at = 0
    while (at < bytes.length) {
      if (bytes.length - at < HEADER_LENGTH) return { at, length: null }
      if (view.getUint8(at) !== RESPONSE_MAGIC) return garbage(server)
      const extras = view.getUint8(at + 4)
      const names = extras + view.getUint16(at + 2)
      const body = view.getUint32(at + 8)
      if (body > maxBody) return garbage(server, 'a reply longer than any session')
      if (names > body) return garbage(server, 'a reply whose parts are longer than the whole')
      const start = at + HEADER_LENGTH
      const end = start + body
      if (end > bytes.length) return { at, length: HEADER_LENGTH + body }
      const { first } = requests
      if (
        first === null ||
        view.getUint32(at + 12) !== first.opaque ||
        view.getUint8(at + 1) !== first.operation
      ) {
        return garbage(server, 'a reply to nobody')
      }
      const status = view.getUint16(at + 6)
      if (status === OK) {
        const reply = new Reply(status, this.#versionAt(view, at + 16), bytes, start + names, end)
        if (extras === 4) reply.flags = view.getUint32(start)
        requests.shift().respond(reply)
      } else {
        const error = statusError(status, server)
        if (status === AUTH_ERROR) return error
        requests.shift()
        if (error === null) first.respond(new Reply(status))
        else first.fail(error)
      }
      at = end
    }
    return null
  }

  #versionAt(view: DataView, at: number): CasVersion | null {
    const high = view.getUint32(at)
    const low = view.getUint32(at + 4)
    return high === 0 && low === 0 ? null : new CasVersion(this.#line, high, low)
  }
}
