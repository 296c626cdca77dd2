import type { Store } from 'express-session'
import type { ServerStats, StoreStats, UnreachableServer } from 'express-session-memcached'
import type { Durable } from '../durable/durable.ts'
import type { Servers } from '../servers.ts'

/** One server, as the page shows it. */
export interface Health {
  readonly stats: ServerStats | UnreachableServer
  /** Started by this app, which may therefore stop it. */
  readonly own: boolean
}

/** The durable store behind the servers, and what this process has done with it. */
export interface DurableHealth {
  /** That it holds; undefined where it does not answer. */
  readonly sessions: number | undefined
  /** Sessions that memcached did not have any more. */
  readonly refills: number
  readonly writes: number
  readonly failures: number
}

/** Whatever keeps sessions. */
export interface WholeHealth {
  /** None for a store that is not on memcached. */
  readonly servers: readonly Health[]
  /** Undefined where there is none behind. */
  readonly durable: DurableHealth | undefined
}

/** Why a session cannot be read, or how it is read all the same. */
export interface Outage extends WholeHealth {
  /** The servers that are in the way: the one that the session is on, where that is known. */
  readonly away: readonly Health[]
}

/** What is looked at. */
interface Keepers {
  readonly store: Store
  readonly servers: Servers | undefined
  readonly durable: Durable | undefined
}

const PATIENCE = 1000

/** How every server is, and what is behind them. */
export async function readHealth({ store, servers, durable }: Keepers): Promise<WholeHealth> {
  if (!tellsStats(store)) return { servers: [], durable: undefined }
  const [stats, sessions] = await Promise.all([store.stats(), durable && countIn(durable)])
  const { refills, backingWrites, backingFailures } = stats.counts
  return {
    servers: stats.servers.map(server => ({
      stats: server,
      own: servers?.own.some(({ address }) => address === server.address) ?? false,
    })),
    durable: durable && { sessions, refills, writes: backingWrites, failures: backingFailures },
  }
}

/** What is known of an outage, from the error that a request met. The store's messages name the server. */
export async function readOutage(error: unknown, keepers: Keepers): Promise<Outage> {
  const health = await readHealth(keepers)
  const down = health.servers.filter(({ stats }) => !stats.reachable)
  const words = (error as Error).message.split(/[\s,;]+/)
  const named = down.filter(({ stats }) => words.includes(stats.address))
  return { ...health, away: named.length > 0 ? named : down }
}

/** The durable store stands in for this session: memcached does not hold it, and not all of memcached answers. */
export function isCarried({ servers, durable }: WholeHealth, holders: readonly string[]): boolean {
  return durable !== undefined && holders.length === 0 && servers.some(({ stats }) => !stats.reachable)
}

async function countIn(durable: Durable): Promise<number | undefined> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<undefined>(resolve => {
    timer = setTimeout(resolve, PATIENCE, undefined)
  })
  const count = await Promise.race([durable.count().catch(() => undefined), silence])
  clearTimeout(timer)
  return count
}

function tellsStats(store: Store): store is Store & { stats(): Promise<StoreStats> } {
  return 'stats' in store
}
