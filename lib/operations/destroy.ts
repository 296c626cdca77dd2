import { ConnectionLostError } from '../errors.ts'
import { TOMBSTONE } from '../session/codec.ts'
import type { Context, Done } from './context.ts'

/**
 * Destroys a session, and leaves a tombstone, so that a request which loaded it before cannot bring
 * it back. One round trip.
 */
export function destroy(context: Context, sid: string, done: Done<void>): void {
  const key = context.keys.of(sid)
  const { tombstone } = context.settings
  const home = context.cluster.home(key)
  context.lanes.write(key, () => {
    let repeated = false
    const send = (): void => {
      if (tombstone === 0) home.delete(key, 0, 0, destroyed)
      else home.write('set', key, '', TOMBSTONE, context.expiry.expiration(tombstone * 1000), 0, 0, destroyed)
    }
    const destroyed = (error: Error | null): void => {
      // Destroying twice is the same as once.
      if (error instanceof ConnectionLostError && !repeated) {
        repeated = true
        send()
        return
      }
      context.touched.forget(key)
      context.lanes.leave(key)
      done(error)
    }
    send()
  })
}
