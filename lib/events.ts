/** The events of a store, with what their listeners get. */
export interface StoreEvents {
  /** A server can be reached again (only with `onUnavailable: 'anonymous'`). */
  connect: []
  /** No server can be reached (only with `onUnavailable: 'anonymous'`). */
  disconnect: []
  /** A save met another one of the same session, or its logout; or a lock was lost while it was held. */
  conflict: [
    sid: string,
    detail: {
      /** How it ended. */
      outcome: ConflictOutcome
    },
  ]
  /** What is stored under this id is no session. */
  corrupt: [sid: string]
  /** The function in the option `servers` has named other servers than before. */
  servers: [servers: readonly string[], before: readonly string[]]
}

/**
 * How a conflict ended, by the option `onConflict`: `'merged'`, `'overwritten'`, `'rejected'`, or `'resolved'` by its
 * function. `'destroyed'` is a save that came after a logout and was dropped, `'lease-lost'` a lock that was lost while
 * it was held.
 */
export type ConflictOutcome = 'merged' | 'overwritten' | 'resolved' | 'rejected' | 'destroyed' | 'lease-lost'

/** Tells the store's listeners, on a fresh tick: a throw of theirs must not meet our code. */
export type Emit = <E extends keyof StoreEvents>(event: E, ...args: StoreEvents[E]) => void
