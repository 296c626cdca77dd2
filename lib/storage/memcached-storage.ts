import type { Cluster } from '../cluster/cluster.ts'
import { Keys, type NamingOptions } from './keys.ts'
import { MemcachedRecords } from './memcached-records.ts'
import { MemcachedSessions, type SessionsOptions } from './memcached-sessions.ts'
import { RelocatedSessions } from './relocated-sessions.ts'
import { Relocation } from './relocation.ts'
import { Scan } from './scan.ts'
import type { Sessions, Storage } from './storage.ts'
import { type FormOptions, StoredForm } from './stored-form.ts'

export interface MemcachedStorageOptions extends SessionsOptions, FormOptions, NamingOptions {
  /** Of all keys. */
  readonly prefix: string
}

/** All that lies under one prefix in a cluster of memcached servers. */
export class MemcachedStorage implements Storage {
  readonly sessions: Sessions
  readonly indexes: MemcachedRecords
  readonly locks: MemcachedRecords
  readonly #cluster: Cluster
  readonly #form: StoredForm
  readonly #scan: Scan

  constructor(cluster: Cluster, options: MemcachedStorageOptions) {
    const keys = new Keys(options.prefix, options)
    const form = new StoredForm(options)
    const { maxItemSize } = options
    this.#cluster = cluster
    this.#form = form
    this.#scan = new Scan(cluster, keys, form)
    const sessions = new MemcachedSessions(cluster, keys, form, this.#scan, options)
    this.sessions = keys.hasOthers
      ? new RelocatedSessions(sessions, keys, form, new Relocation(cluster))
      : sessions
    this.indexes = new MemcachedRecords(cluster, form, maxItemSize, user => {
      const key = keys.ofUser(user)
      return { key, beside: key, others: keys.othersOfUser(user) }
    })
    this.locks = new MemcachedRecords(cluster, form, maxItemSize, sid => {
      return { beside: keys.homeOfLock(sid), key: keys.ofLock(sid), others: [] }
    })
  }

  get sealed(): number {
    return this.#form.sealed
  }

  clear(): Promise<void> {
    return this.#scan.clear()
  }

  close(): Promise<void> {
    return this.#cluster.close()
  }
}
