import type { Emit } from '../events.ts'
import type { Settings } from '../options.ts'
import type { RecentKeys } from '../recent-keys.ts'
import type { Codec } from '../session/codec.ts'
import type { Expiry } from '../session/expiry.ts'
import type { Sessions } from '../storage/storage.ts'
import type { Users } from '../users/users.ts'
import type { Change } from './changes/change.ts'
import type { Counts } from './counts.ts'
import type { Done } from './done.ts'

/** What the operations work with: one set per store. */
export interface Context {
  readonly settings: Settings
  readonly codec: Codec
  readonly expiry: Expiry
  readonly sessions: Sessions
  readonly changes: ChangeQueues
  /** Sessions without a date in their cookie, and when they were last touched. */
  readonly touched: RecentKeys
  /** Undefined without the option `userOf`. */
  readonly users: Users | undefined
  readonly counts: Counts
  readonly emit: Emit
}

/** The changes of all sessions in this process, each session's in their order. */
export interface ChangeQueues {
  /** @throws TypeError - for an id that is no string. */
  submit<T>(context: Context, sid: string, change: Change<T>, done: Done<T>): void

  /** Fails the changes that have waited long for a function of the application. */
  abandon(): void

  /** Runs a read when the changes that came before it have ended, so that what was saved is read. */
  read<T>(context: Context, sid: string, done: Done<T>, ask: Read<T>): void
}

export type Read<T> = (context: Context, sid: string, done: Done<T>) => void
