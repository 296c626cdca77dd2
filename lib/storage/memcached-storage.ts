import type { Cluster } from '../cluster/cluster.ts'
import { Keys } from './keys.ts'
import { MemcachedRecords } from './memcached-records.ts'
import { MemcachedSessions, type SessionsOptions } from './memcached-sessions.ts'
import { Scan } from './scan.ts'
import type { Storage } from './storage.ts'
import { type FormOptions, StoredForm } from './stored-form.ts'

export interface MemcachedStorageOptions extends SessionsOptions, FormOptions {
  /** Of all keys. */
  readonly prefix: string
}

/** All that lies under one prefix in a cluster of memcached servers. */
export class MemcachedStorage implements Storage {
  readonly sessions: MemcachedSessions
  readonly indexes: MemcachedRecords
  readonly locks: MemcachedRecords
  readonly #cluster: Cluster
  readonly #scan: Scan

  constructor(cluster: Cluster, options: MemcachedStorageOptions) {
    const keys = new Keys(options.prefix)
    const form = new StoredForm(options)
    const { maxItemSize } = options
    this.#cluster = cluster
    this.#scan = new Scan(cluster, keys, form)
    this.sessions = new MemcachedSessions(cluster, keys, form, this.#scan, options)
    this.indexes = new MemcachedRecords(cluster, form, maxItemSize, user => {
      const key = keys.ofUser(user)
      return { key, beside: key }
    })
    this.locks = new MemcachedRecords(cluster, form, maxItemSize, sid => {
      return { key: keys.ofLock(sid), beside: keys.of(sid) }
    })
  }

  clear(): Promise<void> {
    return this.#scan.clear()
  }

  close(): Promise<void> {
    return this.#cluster.close()
  }
}
