import type { ConflictOutcome } from '../../events.ts'
import type { Lifetime } from '../../session/expiry.ts'
import type { Text } from '../../storage/kept-text.ts'
import type { SessionRecord } from '../../storage/record.ts'

/** What is to lie under a session's id. */
export interface Draft {
  /** As it will be read: `stored`, or `destroyed`. */
  readonly kind: 'stored' | 'destroyed'
  readonly content: Text
  /** How long what is stored lives. */
  readonly lifetime: Lifetime | null
  /** Whose session it is then; undefined where it is nobody's, or without the option `userOf`. */
  readonly user: string | undefined
  /** Is it certain that its index holds it, since what was stored is that user's already? */
  readonly isListed: boolean
  /** Is it to be written whatever lies there? */
  readonly isBlind: boolean
}

/** A session is to be destroyed, if what is known of it still lies there. */
export const GONE: Draft = {
  kind: 'destroyed',
  content: '',
  lifetime: null,
  user: undefined,
  isListed: false,
  isBlind: false,
}

/** What a change makes of what lies there. */
export interface Decision<T> {
  /** Null leaves it as it is. */
  readonly draft: Draft | null
  /** What is told of it: it met another change of the same session. */
  readonly outcome?: ConflictOutcome | undefined
  /** The change fails with this, and leaves things as they are. */
  readonly error?: Error | undefined
  /** What its caller gets. */
  readonly result?: T | undefined
}

/**
 * A change of one session, as a function of what is stored: so it can be worked out on a guess, and again
 * on what turns out to lie there; together with other changes, and again without them.
 */
export interface Change<T> {
  /** What it may be tried on without looking; null where somebody has to look first. */
  readonly guess: SessionRecord | null
  /** Has it as much time as it takes, as long as others get on? Else the time of one operation. */
  readonly isPatient: boolean
  /** Must it not be done twice? Then it fails where it is not known whether it was done. */
  readonly isOnce: boolean

  /** Must be free of effects: it may be called again. May throw, or reject, what the application's code throws. */
  apply(current: SessionRecord): Decision<T> | Promise<Decision<T>>

  /** Its session has been listed as its user's ({@link Entry.at}), and is about to be written. */
  listed?(at: number): void

  /** What it decided is true now: this is what lies there, and was not older than that (`performance.now()`). */
  settled?(decision: Decision<T>, record: SessionRecord, seenAt: number): void

  /** This is about to be sent for it, worked out on what those before it leave; null: no, not so. */
  planned?(sent: Draft | null): void

  /**
   * This was sent, and may have been stored: what lies there now is neither this nor what it was written
   * over. It is worked out again on that.
   */
  doubted?(sent: Draft): void

  /** It has failed; this was sent before, if anything, and may lie there or not. */
  failed?(sent: Draft | null): void
}
