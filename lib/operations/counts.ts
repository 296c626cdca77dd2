import type { BackingCounts } from '../backing/backing-store.ts'

/** What this process has done since the store was made. */
export interface Counts extends BackingCounts {
  /** Sessions asked for, by `get` and `getMany`. */
  reads: number
  /** Sessions stored, refreshed or destroyed. */
  writes: number
  /** Saves that met another one of the same session, or its logout; those of the event `conflict`. */
  conflicts: number
  /** Conflicts that were merged. */
  merges: number
  /** Further attempts at a write, after a conflict or a lost reply. */
  retries: number
  /** Operations that failed, whether or not anybody waited for them. */
  failures: number
  /** Those of them that failed with `ERR_TIMEOUT`. */
  timeouts: number
  /** Items that were no session; those of the event `corrupt`. */
  corrupt: number
}

export function createCounts(): Counts {
  return {
    reads: 0,
    writes: 0,
    conflicts: 0,
    merges: 0,
    retries: 0,
    failures: 0,
    timeouts: 0,
    corrupt: 0,
    refills: 0,
    backingWrites: 0,
    backingFailures: 0,
  }
}
