import type { Cluster } from '../cluster/cluster.ts'
import type { Settings } from '../options.ts'
import type { Codec } from '../session/codec.ts'
import type { Expiry } from '../session/expiry.ts'
import type { Keys } from '../storage/keys.ts'
import type { Sessions } from '../storage/storage.ts'
import type { Changes } from './changes/changes.ts'
import type { Counts } from './counts.ts'
import type { Locks } from './locks/locks.ts'
import type { Recent } from './recent.ts'
import type { Listing } from './users/enlist.ts'
import type { WaitingChange } from './users/user-index.ts'

/** What the operations work with: one set per store. */
export interface Context {
  readonly settings: Settings
  readonly keys: Keys
  readonly codec: Codec
  readonly expiry: Expiry
  readonly cluster: Cluster
  readonly sessions: Sessions
  readonly changes: Changes
  /** Sessions without a date in their cookie, and when they were last touched. */
  readonly touched: Recent
  /** Sessions that have been seen to be in their user's index, when, and until when that is kept. */
  readonly listed: Recent<Listing>
  /** Changes that wait for others of the same user's index. */
  readonly indexChanges: Map<string, WaitingChange[]>
  /** Users whose index is being looked through. */
  readonly reviews: Set<string>
  readonly locks: Locks
  readonly counts: Counts
  /** Tells the store's listeners, on a fresh tick: a throw of theirs must not meet our code. */
  emit<E extends keyof StoreEvents>(event: E, ...args: StoreEvents[E]): void
}

/** The events of a store, with what their listeners get. */
export interface StoreEvents {
  /** A server can be reached again (only with `onUnavailable: 'anonymous'`). */
  connect: []
  /** No server can be reached (only with `onUnavailable: 'anonymous'`). */
  disconnect: []
  /** A save met another one of the same session, or its logout; or a lock was lost while it was held. */
  conflict: [sid: string, detail: { outcome: ConflictOutcome }]
  /** What is stored under this id is no session. */
  corrupt: [sid: string]
}

/**
 * How a conflict ended: `'destroyed'` is a save that came after a logout and was dropped, `'lease-lost'` a
 * lock that was lost while it was held.
 */
export type ConflictOutcome = 'merged' | 'overwritten' | 'resolved' | 'rejected' | 'destroyed' | 'lease-lost'

/** Called once. The error is the store's own, or what the application's own code threw. */
export type Done<T> = (error: Error | null, value?: T) => void
