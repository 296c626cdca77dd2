import { SessionRecord } from '../storage/record.ts'
import type { Entry } from '../users/user-index.ts'
import { type Change, type Decision, GONE } from './changes/change.ts'
import type { Context } from './context.ts'
import type { Done } from './done.ts'

/** Leaves a tombstone, whatever lies there. */
class Destruction implements Change<void> {
  readonly guess: SessionRecord = SessionRecord.UNKNOWN
  readonly isPatient = false
  readonly isOnce = false
  readonly #decision: Decision<void>

  constructor(revokedAt: string) {
    this.#decision = { draft: { ...GONE, content: revokedAt, isBlind: true } }
  }

  apply(): Decision<void> {
    return this.#decision
  }
}

/**
 * Destroys a session, and leaves a tombstone, so that a request which loaded it before cannot bring
 * it back. One round trip.
 *
 * @param revokedAt - what the tombstone says: see {@link revoke}.
 */
export function destroy(context: Context, sid: string, done: Done<void>, revokedAt = ''): void {
  context.changes.submit(context, sid, new Destruction(revokedAt), done)
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
