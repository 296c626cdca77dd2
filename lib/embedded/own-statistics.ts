import type { Storage } from './storage.ts'

/** Name and value, as the `stats` command lists them. */
export type Statistic = readonly [name: string, value: string | number]

/** What the statistics tell about connections. */
export interface Traffic {
  readonly port: number
  readonly host: string
  readonly maxConnections: number
  /** Unix seconds. */
  readonly startedAt: number
  open: number
  total: number
  bytesRead: number
  bytesWritten: number
}

/** The general statistics, under memcached's names. */
export function generalStatistics(storage: Storage, traffic: Traffic, version: string): Statistic[] {
  const now = Math.floor(Date.now() / 1000)
  return [
    ['pid', process.pid],
    ['uptime', now - traffic.startedAt],
    ['time', now],
    ['version', version],
    ['pointer_size', 64],
    ['max_connections', traffic.maxConnections],
    ['curr_connections', traffic.open],
    ['total_connections', traffic.total],
    ...Object.entries(storage.counts),
    ['bytes_read', traffic.bytesRead],
    ['bytes_written', traffic.bytesWritten],
    ['limit_maxbytes', storage.maxMemory],
    ['accepting_conns', 1],
    ['threads', 1],
    ['bytes', storage.bytes],
    ['curr_items', storage.length],
  ]
}

/** `stats settings`. */
export function settings(storage: Storage, traffic: Traffic): Statistic[] {
  return [
    ['maxbytes', storage.maxMemory],
    ['maxconns', traffic.maxConnections],
    ['tcpport', traffic.port],
    ['udpport', 0],
    ['inter', traffic.host],
    ['evictions', 'on'],
    ['domain_socket', 'NULL'],
    ['num_threads', 1],
    ['cas_enabled', 'yes'],
    ['binding_protocol', 'auto-negotiate'],
    ['auth_enabled_sasl', 'no'],
    ['item_size_max', storage.maxItemSize],
    ['lru_crawler', 'yes'],
    ['flush_enabled', 'yes'],
    ['dump_enabled', 'yes'],
    ['ssl_enabled', 'no'],
  ]
}
