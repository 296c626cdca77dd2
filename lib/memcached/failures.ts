import { ConnectionLostError, MemcachedStoreError } from '../errors.ts'

/** What servers complain of, whatever the protocol. `server` is its name. */

export function tooLarge(server: string): MemcachedStoreError {
  return new MemcachedStoreError(
    'ERR_TOO_LARGE',
    `memcached on ${server} refused the session as too large: its -I is below the option \`maxItemSize\``,
  )
}

export function wrongCredentials(server: string): MemcachedStoreError {
  return new MemcachedStoreError(
    'ERR_UNAVAILABLE',
    `memcached on ${server} refused the credentials: check \`username\` and \`password\``,
  )
}

export function outOfMemory(server: string): MemcachedStoreError {
  return new MemcachedStoreError(
    'ERR_UNAVAILABLE',
    `memcached on ${server} is out of memory: raise its -m, or start it without -M`,
  )
}

const TOO_MANY = 'ERROR Too many open connections'

/** Said before anything else, as text whatever the protocol (memcached.c, `maxconns_fast`); null where it is not. */
export function tooManyConnections(server: string, bytes: Buffer): MemcachedStoreError | null {
  if (bytes.toString('latin1', 0, TOO_MANY.length) !== TOO_MANY) return null
  return new MemcachedStoreError(
    'ERR_UNAVAILABLE',
    `memcached on ${server} has too many connections: raise its -c`,
  )
}

/** A server behind a proxy failed, or what else `SERVER_ERROR` means. Few words are quoted: any other might be a key. */
export function refused(server: string, line: string): MemcachedStoreError {
  const words = /^SERVER_ERROR ([A-Za-z ]{1,60})$/.exec(line)?.[1]
  return new MemcachedStoreError(
    'ERR_UNAVAILABLE',
    `memcached on ${server} failed${words === undefined ? '' : ` ("${words}")`}`,
  )
}

/** The server's bytes make no sense. @param what - such as `a reply to nobody`. */
export function garbage(server: string, what = 'bytes that are no reply'): MemcachedStoreError {
  return new ConnectionLostError('ERR_PROTOCOL', `memcached on ${server} sent ${what}`)
}
