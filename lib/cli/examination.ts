import type { Statistics } from '../memcached/statistics.ts'

/** What was seen of a server. */
export interface Examination {
  readonly statistics: Statistics
  /** Seconds that its clock is ahead of this machine's: it counts whole ones. NaN where it does not tell. */
  readonly clock: number
  /** Or why they could not be listed. */
  readonly sessions: ListedSessions | Error
}

export interface ListedSessions {
  /** How many. */
  readonly keys: number
  /** Bytes of the largest. */
  readonly largest: number
  /** Those whose home is another server of the list. */
  readonly misplaced: number
}

/** A server that was looked at, or why it could not be. */
export interface Examined {
  readonly address: string
  readonly examination: Examination | Error
}
