import { MemcachedStoreError } from '../../errors.ts'
import { outOfMemory, tooLarge, wrongCredentials } from '../failures.ts'
import { EXISTS, NOT_FOUND, OK } from '../reply.ts'

/** memcached's binary protocol (its wiki, "BinaryProtocolRevamped"), as far as the store speaks it. */
export const REQUEST_MAGIC = 0x80
export const RESPONSE_MAGIC = 0x81
export const HEADER_LENGTH = 24
const OPAQUE_OFFSET = 12

/** The other opcodes are those of `request.ts`. */
export const NOOP = 0x0a
export const VERSION = 0x0b
export const STAT = 0x10
export const SASL_AUTH = 0x21

const TOO_LARGE = 0x03
export const AUTH_ERROR = 0x20
export const UNKNOWN_COMMAND = 0x81
const OUT_OF_MEMORY = 0x82

/** A request without extras and value, or one that is a key and a value. */
export function frame(opcode: number, key = '', value = ''): Buffer {
  const body = Buffer.from(key + value)
  const header = Buffer.alloc(HEADER_LENGTH)
  header[0] = REQUEST_MAGIC
  header[1] = opcode
  header.writeUInt16BE(key.length, 2)
  header.writeUInt32BE(body.length, 8)
  return Buffer.concat([header, body])
}

/** Logs in with user and password (RFC 4616; memcached's wiki, "SASLAuthProtocol"). */
export function loginFrame(username: string, password: string): Buffer {
  return frame(SASL_AUTH, 'PLAIN', `\0${username}\0${password}`)
}

/** Asks for the version, which is told without a password. To a server that speaks text only it is a line, with its end. */
export function versionLine(): Buffer {
  const request = frame(VERSION)
  request.write('\r\n', OPAQUE_OFFSET, 'latin1')
  return request
}

/** The failure that a status means, or null where it is an answer. */
export function statusError(status: number, server: string): MemcachedStoreError | null {
  switch (status) {
    case OK:
    case NOT_FOUND:
    case EXISTS:
      return null
    case TOO_LARGE:
      return tooLarge(server)
    case AUTH_ERROR:
      return wrongCredentials(server)
    case OUT_OF_MEMORY:
      return outOfMemory(server)
    default:
      return new MemcachedStoreError(
        'ERR_PROTOCOL',
        `memcached on ${server} answered with status 0x${status.toString(16).padStart(2, '0')}`,
      )
  }
}
