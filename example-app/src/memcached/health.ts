import type { Store } from 'express-session'
import type { ServerStats, StoreStats, UnreachableServer } from 'express-session-memcached'
import type { Servers } from '../servers.ts'

/** One server, as the page shows it. */
export interface Health {
  readonly stats: ServerStats | UnreachableServer
  /** Started by this app, which may therefore stop it. */
  readonly own: boolean
}

/** Why a session cannot be read. */
export interface Outage {
  readonly servers: readonly Health[]
  /** Those of them that are in the way: the one that the session is on, where that is known. */
  readonly away: readonly Health[]
}

/** How every server is; nothing for a store that is not on memcached. */
export async function readHealth(store: Store, servers: Servers | undefined): Promise<Health[]> {
  if (!tellsStats(store)) return []
  const stats = await store.stats()
  return stats.servers.map(server => ({
    stats: server,
    own: servers?.own.some(({ address }) => address === server.address) ?? false,
  }))
}

/** What is known of an outage, from the error that a request met. The store's messages name the server. */
export async function readOutage(
  error: unknown,
  store: Store,
  servers: Servers | undefined,
): Promise<Outage> {
  const all = await readHealth(store, servers)
  const down = all.filter(({ stats }) => !stats.reachable)
  const words = (error as Error).message.split(/[\s,;]+/)
  const named = down.filter(({ stats }) => words.includes(stats.address))
  return { servers: all, away: named.length > 0 ? named : down }
}

function tellsStats(store: Store): store is Store & { stats(): Promise<StoreStats> } {
  return 'stats' in store
}
