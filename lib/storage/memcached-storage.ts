import type { Cluster } from '../cluster/cluster.ts'
import { Keys } from './keys.ts'
import { MemcachedRecords } from './memcached-records.ts'
import { MemcachedSessions, type SessionsOptions } from './memcached-sessions.ts'
import { clear } from './scan.ts'
import type { Storage } from './storage.ts'

export interface MemcachedStorageOptions extends SessionsOptions {
  /** Of all keys. */
  readonly prefix: string
}

/** All that lies under one prefix in a cluster of memcached servers. */
export class MemcachedStorage implements Storage {
  readonly sessions: MemcachedSessions
  readonly indexes: MemcachedRecords
  readonly locks: MemcachedRecords
  readonly #cluster: Cluster
  readonly #keys: Keys

  constructor(cluster: Cluster, options: MemcachedStorageOptions) {
    const keys = new Keys(options.prefix)
    const { maxItemSize } = options
    this.#cluster = cluster
    this.#keys = keys
    this.sessions = new MemcachedSessions(cluster, keys, options)
    this.indexes = new MemcachedRecords(cluster, maxItemSize, user => {
      const key = keys.ofUser(user)
      return { key, beside: key }
    })
    this.locks = new MemcachedRecords(cluster, maxItemSize, sid => {
      return { key: keys.ofLock(sid), beside: keys.of(sid) }
    })
  }

  clear(): Promise<void> {
    return clear(this.#cluster, this.#keys)
  }

  close(): Promise<void> {
    return this.#cluster.close()
  }
}
