import type { ProtocolName } from './address.ts'

/** What a server tells of itself, under memcached's names (protocol.txt, "General-purpose statistics", "Settings statistics"). */
export interface Statistics {
  /** What it was asked in. */
  readonly protocol: ProtocolName
  /** Empty but for the version where it tells nothing, as a proxy. */
  readonly general: ReadonlyMap<string, string>
  readonly settings: ReadonlyMap<string, string>
  /** Milliseconds. */
  readonly roundTrip: number
}
