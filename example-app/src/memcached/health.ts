import type { Store } from 'express-session'
import type { ServerStats, StoreStats, UnreachableServer } from 'express-session-memcached'
import type { Servers } from '../servers.ts'

/** One server, as the page shows it. */
export interface Health {
  readonly stats: ServerStats | UnreachableServer
  /** Started by this app, which may therefore stop it. */
  readonly own: boolean
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

function tellsStats(store: Store): store is Store & { stats(): Promise<StoreStats> } {
  return 'stats' in store
}
