import { ConnectionLostError } from '../errors.ts'
import { TOMBSTONE } from '../session/codec.ts'
import type { Context, Done } from './context.ts'

/**
 * Destroys a session, and leaves a tombstone, so that a request which loaded it before cannot bring
 * it back. One round trip.
 */
export function destroy(context: Context, sid: string, done: Done<void>): void {
  const key = context.keys.of(sid)
  context.lanes.write(sid, () => {
    bury(context, key, error => {
      context.lanes.leave(sid)
      done(error)
    })
  })
}

/** The same for whoever holds the session's lane already. */
export function bury(context: Context, key: string, done: Done<void>): void {
  const { tombstone } = context.settings
  const home = context.cluster.home(key)
  let repeated = false
  const send = (): void => {
    if (tombstone === 0) home.delete(key, 0, 0, answered)
    else home.write('set', key, '', TOMBSTONE, context.expiry.expiration(tombstone * 1000), 0, 0, answered)
  }
  const answered = (error: Error | null): void => {
    if (error instanceof ConnectionLostError && !repeated) {
      // Destroying twice is the same as once.
      repeated = true
      send()
      return
    }
    context.touched.forget(key)
    done(error)
  }
  send()
}
