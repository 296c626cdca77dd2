import { MemcachedStoreError } from '../errors.ts'
import { EXISTS, NOT_FOUND, OK } from './reply.ts'

/** memcached's binary protocol (its wiki, "BinaryProtocolRevamped"), as far as the store speaks it. */
export const REQUEST_MAGIC = 0x80
export const RESPONSE_MAGIC = 0x81
export const HEADER_LENGTH = 24

export const GET = 0x00
export const SET = 0x01
export const ADD = 0x02
export const REPLACE = 0x03
export const DELETE = 0x04
export const NOOP = 0x0a
export const VERSION = 0x0b
export const STAT = 0x10
export const TOUCH = 0x1c
export const SASL_AUTH = 0x21

export const TOO_LARGE = 0x03
export const AUTH_ERROR = 0x20
export const UNKNOWN_COMMAND = 0x81
export const OUT_OF_MEMORY = 0x82

/** The failure that a status means, or null where it is an answer. */
export function statusError(status: number, server: string): MemcachedStoreError | null {
  switch (status) {
    case OK:
    case NOT_FOUND:
    case EXISTS:
      return null
    case TOO_LARGE:
      return new MemcachedStoreError(
        'ERR_TOO_LARGE',
        `memcached on ${server} refused the session as too large: its -I is below the option \`maxItemSize\``,
      )
    case AUTH_ERROR:
      return new MemcachedStoreError(
        'ERR_UNAVAILABLE',
        `memcached on ${server} refused the credentials: check \`username\` and \`password\``,
      )
    case OUT_OF_MEMORY:
      return new MemcachedStoreError(
        'ERR_UNAVAILABLE',
        `memcached on ${server} is out of memory: raise its -m, or start it without -M`,
      )
    default:
      return new MemcachedStoreError(
        'ERR_PROTOCOL',
        `memcached on ${server} answered with status 0x${status.toString(16).padStart(2, '0')}`,
      )
  }
}
