import { ConnectionLostError } from '../errors.ts'
import type { Reply } from '../memcached/reply.ts'
import { TOMBSTONE } from '../session/codec.ts'
import type { Entry } from '../session/user-index.ts'
import type { Context, Done } from './context.ts'
import { before } from './deadline.ts'

/**
 * Destroys a session, and leaves a tombstone, so that a request which loaded it before cannot bring
 * it back. One round trip.
 *
 * @param epitaph - what the tombstone says: see {@link revoke}.
 */
export function destroy(context: Context, sid: string, done: Done<void>, epitaph = ''): void {
  const key = context.keys.of(sid)
  context.lanes.write(sid, done, answer => {
    const buried = (error: Error | null): void => {
      context.lanes.leave(sid)
      answer(error)
    }
    bury(context, key, buried, epitaph)
  })
}

/**
 * Destroys a session that was listed as a user's at that time ({@link Entry.at}), and refuses it to a
 * login too that has listed it by then and is about to write it.
 */
export function revoke(context: Context, { sid, at }: Entry): Promise<void> {
  return new Promise((resolve, reject) => {
    destroy(context, sid, error => (error === null ? resolve() : reject(error)), String(at))
  })
}

/** Is this a tombstone that {@link revoke} has left for a session listed at that time? */
export function isRevoked(reply: Reply, at: number): boolean {
  return (reply.flags & TOMBSTONE) !== 0 && Number(reply.text) >= at
}

/** The same for whoever holds the session's lane already. */
export function bury(context: Context, key: string, done: Done<void>, epitaph = ''): void {
  const finish = (error: Error | null): void => {
    context.touched.forget(key)
    if (error === null) context.counts.writes++
    done(error)
  }
  entomb(context, key, epitaph, error => {
    // Destroying twice is the same as once.
    if (error instanceof ConnectionLostError)
      entomb(context, key, epitaph, before(error.remaining, error, finish))
    else finish(error)
  })
}

function entomb(context: Context, key: string, epitaph: string, done: Done<void>): void {
  const { tombstone } = context.settings
  const home = context.cluster.home(key)
  if (tombstone === 0) home.delete(key, null, error => done(error))
  else
    home.write(
      'set',
      { key, value: epitaph, flags: TOMBSTONE, expiration: context.expiry.expiration(tombstone * 1000) },
      null,
      error => done(error),
    )
}
