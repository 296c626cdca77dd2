/** All sessions of one user, where the store keeps account of them. */
import { createHash } from 'node:crypto'
import type { Store } from 'express-session'
import type { MemcachedStore, UserSession } from 'express-session-memcached'

type Listing = Pick<MemcachedStore, 'sessionsOf' | 'destroyAllOf'>

/** The latest sign-in first; undefined where the store cannot tell. */
export async function loginsOf(store: Store, user: string): Promise<UserSession[] | undefined> {
  if (!isListing(store)) return undefined
  try {
    return await store.sessionsOf(user)
  } catch (error) {
    // A store without the option `userOf`.
    if (error instanceof TypeError) return undefined
    throw error
  }
}

/** Ends all sessions of a user but one. */
export async function endOtherLogins(store: Store, user: string, sid: string): Promise<void> {
  if (isListing(store)) await store.destroyAllOf(user, { except: sid })
}

/** A name for a session that pages may carry: a session's id is its password. */
export function handleOf(sid: string): string {
  return createHash('sha256').update(sid).digest('base64url').slice(0, 16)
}

function isListing(store: Store): store is Store & Listing {
  const { sessionsOf, destroyAllOf } = store as Partial<Listing>
  return typeof sessionsOf === 'function' && typeof destroyAllOf === 'function'
}
