import type { Statistics } from '../memcached/statistics.ts'

/** What was seen of a server. */
export interface Examination {
  readonly statistics: Statistics
  /** Keys of sessions and the bytes of the largest; or why they could not be listed. */
  readonly sessions: { readonly keys: number; readonly largest: number } | Error
}
