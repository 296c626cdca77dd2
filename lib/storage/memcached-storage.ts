import type { Cluster } from '../cluster/cluster.ts'
import { Keys, type NamingOptions } from './keys.ts'
import { MemcachedRecords } from './memcached-records.ts'
import { MemcachedSessions, type SessionsOptions } from './memcached-sessions.ts'
import { MovedSessions } from './moved-sessions.ts'
import { RelocatedSessions } from './relocated-sessions.ts'
import { Relocation } from './relocation.ts'
import { Scan } from './scan.ts'
import type { Sessions, Storage } from './storage.ts'
import { type FormOptions, StoredForm } from './stored-form.ts'

export interface MemcachedStorageOptions extends SessionsOptions, FormOptions, NamingOptions {
  /** Of all keys. */
  readonly prefix: string
  /** Seconds after which servers that change are asked for again. */
  readonly refresh: number
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
    const found = keys.hasOthers
      ? new RelocatedSessions(sessions, keys, form, new Relocation(cluster))
      : sessions
    const { moves } = cluster
    // Others ask for the servers as often, and take their time for it.
    const lag = 2 * options.refresh * 1000
    this.sessions =
      moves === null ? found : new MovedSessions(found, { cluster, moves, keys, graves: sessions, lag })
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
