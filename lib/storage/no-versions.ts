import { MemcachedStoreError } from '../errors.ts'

/** A server that counts no versions; `address` is its name. */
export function noVersions(address: string): MemcachedStoreError {
  return new MemcachedStoreError(
    'ERR_NOT_SUPPORTED',
    `memcached on ${address} counts no versions (CAS), without which updates are lost and logouts undone: ` +
      'start it without -C',
  )
}
