import type { MemcachedNode } from '../memcached/node.ts'
import type { Statistics } from '../memcached/statistics.ts'

/** A server that answered, with what it tells of itself: numbers of all its clients, NaN where it does not tell. */
export interface ServerStats {
  /** As the option `servers` names it, without user and password. */
  readonly address: string
  /** Tells it from a server that did not answer. */
  readonly reachable: true
  /** What it was asked in: binary where it understands that. */
  readonly protocol: 'binary' | 'text'
  /** memcached's version, such as `1.6.18`; empty where it does not tell. */
  readonly version: string
  /** Seconds since it was started. */
  readonly uptime: number
  /** Items that it holds, of all applications. */
  readonly items: number
  /** Bytes of all items. */
  readonly bytes: number
  /** Bytes that items may take: `-m`. */
  readonly limit: number
  /** Living items that were dropped for lack of memory. */
  readonly evictions: number
  /** Connections that are open. */
  readonly connections: number
  /** Connections that may be: `-c`. */
  readonly connectionLimit: number
  /** Reads that found something, since it was started. */
  readonly hits: number
  /** Reads that found nothing, since it was started. */
  readonly misses: number
  /** Milliseconds until it answered, when it was asked for this. */
  readonly roundTrip: number
}

/** A server that did not answer. */
export interface UnreachableServer {
  /** As the option `servers` names it, without user and password. */
  readonly address: string
  /** Tells it from a server that answered. */
  readonly reachable: false
  /** Why it did not answer. */
  readonly error: Error
}

/** Asks every server at once, over a new connection. A server that does not answer fails nothing. */
export function askServers(nodes: readonly MemcachedNode[]): Promise<(ServerStats | UnreachableServer)[]> {
  return Promise.all(nodes.map(ask))
}

async function ask(node: MemcachedNode): Promise<ServerStats | UnreachableServer> {
  const { address } = node
  try {
    return summary(address, await node.statistics())
  } catch (error) {
    return { address, reachable: false, error: error as Error }
  }
}

export function summary(address: string, statistics: Statistics): ServerStats {
  const { protocol, general, settings, roundTrip } = statistics
  const number = (name: string): number => Number(general.get(name) ?? Number.NaN)
  return {
    address,
    reachable: true,
    protocol,
    version: general.get('version') ?? '',
    uptime: number('uptime'),
    items: number('curr_items'),
    bytes: number('bytes'),
    limit: number('limit_maxbytes'),
    evictions: number('evictions'),
    connections: number('curr_connections'),
    connectionLimit: Number(settings.get('maxconns') ?? general.get('max_connections') ?? Number.NaN),
    hits: number('get_hits'),
    misses: number('get_misses'),
    roundTrip,
  }
}
