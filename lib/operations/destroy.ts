import { ConnectionLostError } from '../errors.ts'
import { TOMBSTONE } from '../session/codec.ts'
import type { Context, Done } from './context.ts'
import { before } from './deadline.ts'

/**
 * Destroys a session, and leaves a tombstone, so that a request which loaded it before cannot bring
 * it back. One round trip.
 */
export function destroy(context: Context, sid: string, done: Done<void>): void {
  const key = context.keys.of(sid)
  context.lanes.write(sid, done, answer => {
    bury(context, key, error => {
      context.lanes.leave(sid)
      answer(error)
    })
  })
}

/** The same for whoever holds the session's lane already. */
export function bury(context: Context, key: string, done: Done<void>): void {
  const finish = (error: Error | null): void => {
    context.touched.forget(key)
    done(error)
  }
  entomb(context, key, error => {
    // Destroying twice is the same as once.
    if (error instanceof ConnectionLostError) entomb(context, key, before(error.remaining, error, finish))
    else finish(error)
  })
}

function entomb(context: Context, key: string, done: Done<void>): void {
  const { tombstone } = context.settings
  const home = context.cluster.home(key)
  if (tombstone === 0) home.delete(key, 0, 0, error => done(error))
  else
    home.write('set', key, '', TOMBSTONE, context.expiry.expiration(tombstone * 1000), 0, 0, error =>
      done(error),
    )
}
