import type { MemcachedNode } from '../memcached/node.ts'
import type { ServerStats, UnreachableServer } from './server-stats.ts'

/** A server, for who has a key. */
export type Home = Pick<MemcachedNode, 'address' | 'get' | 'write' | 'delete'>

/** Where a session lives: every key has one home among the servers. */
export interface Cluster {
  /** Null where the servers are always the same. */
  readonly moves: Moves | null

  home(key: string): Home

  /** The servers as they are now, for who asks all of them. */
  now(): Promise<ServersNow>

  close(): Promise<void>
}

/** The servers of one moment. */
export interface ServersNow {
  readonly nodes: readonly MemcachedNode[]

  home(key: string): MemcachedNode

  /** What each server tells of itself, in the order of the option. */
  statistics(): Promise<(ServerStats | UnreachableServer)[]>
}

/** What a change of servers has done to keys. */
export interface Moves {
  /** How many there have been. */
  readonly count: number
  /** When the last one was: a time of `performance.now()`. */
  readonly lastAt: number

  /** Where a key lay before, under any list of servers that is remembered, and does not now. */
  formerHomes(key: string): readonly Home[]

  /** Has the last change given it another home? */
  hasMoved(key: string): boolean

  /** Tells of each change, after it. */
  listen(listener: () => void): void
}
