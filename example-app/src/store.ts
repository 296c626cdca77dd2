import type { Store } from 'express-session'
import { MemcachedStore } from 'express-session-memcached'

export const KEY_PREFIX = 'sess:'

/** The store of this app. `new MemcachedStore()` would do, with memcached on localhost:11211. */
export function createStore(servers: readonly string[], backing?: Store): MemcachedStore {
  return new MemcachedStore({
    servers,
    prefix: KEY_PREFIX,
    backing,
    // So that the sessions of one user can be listed, and ended together.
    userOf: session => session.user,
    // So that the ring on the page is seen to fill again. The default costs fewer writes.
    touchAfter: 5,
  })
}
