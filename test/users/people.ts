import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { afterAll } from 'vitest'
import { FixedCluster } from '../../lib/cluster/fixed-cluster.ts'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { createNodes } from '../../lib/memcached/nodes.ts'
import { readOptions } from '../../lib/options.ts'
import { Keys } from '../../lib/storage/keys.ts'
import { MemcachedStorage } from '../../lib/storage/memcached-storage.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { SEALING } from '../support/sealing.ts'

/** Milliseconds of Unix time so long ago that no login of then can still be on its way. */
export const LONG_AGO = 1_600_000_000_000

export type AnySession = SessionData & Record<string, unknown>

/** A session as a plain object; `user` is whose it is. Lives for so many milliseconds; undefined has no date. */
export function sessionOf(
  user: unknown,
  more: Record<string, unknown> = {},
  maxAge: number | undefined = 60_000,
): AnySession {
  return { cookie: cookie(maxAge), user, ...more } as unknown as AnySession
}

export function withoutDate(user: unknown): AnySession {
  return { cookie: { originalMaxAge: null, path: '/' }, user } as unknown as AnySession
}

function cookie(maxAge: number): object {
  return { originalMaxAge: maxAge, expires: new Date(Date.now() + maxAge), path: '/', httpOnly: true }
}

export function userOf(session: SessionData): string | undefined {
  return (session as AnySession).user as string | undefined
}

/** People for the tests of a `describe`, which may turn out to be skipped for want of a memcached. */
export function peopleOn(memcached: string | undefined): People {
  const people = new People(memcached ?? 'localhost')
  afterAll(() => people[Symbol.asyncDispose]())
  return people
}

/** A prefix of its own, and the stores that share it: each stands for a process. */
export class People implements AsyncDisposable {
  readonly prefix: string = `users-${randomUUID()}:`
  readonly store: MemcachedStore
  readonly raw: RawMemcached
  readonly #keys: Keys
  readonly #storage: MemcachedStorage
  readonly #servers: string
  readonly #stores: MemcachedStore[] = []

  constructor(servers: string, options: MemcachedStoreOptions = {}) {
    const settings = readOptions({ ...SEALING, servers, prefix: this.prefix })
    this.#keys = new Keys(this.prefix, settings)
    this.#storage = new MemcachedStorage(new FixedCluster(createNodes(settings, () => {})), settings)
    this.#servers = servers
    this.raw = new RawMemcached(servers)
    this.store = this.another(options)
  }

  another(options: MemcachedStoreOptions = {}): MemcachedStore {
    const store = new MemcachedStore({ servers: this.#servers, prefix: this.prefix, userOf, ...options })
    this.#stores.push(store)
    return store
  }

  /** A new session of this user; gives its id. */
  async login(user: string, store: MemcachedStore = this.store): Promise<string> {
    const sid = randomUUID()
    await store.set(sid, sessionOf(user))
    return sid
  }

  async sids(user: string, store: MemcachedStore = this.store): Promise<string[]> {
    return (await store.sessionsOf(user)).map(({ sid }) => sid)
  }

  indexKey(user: string): string {
    return this.#keys.ofUser(user)
  }

  /** What memcached holds of the index. */
  async index(user: string): Promise<{ until: number; sessions: [sid: string, at: number][] } | null> {
    const record = await this.#storage.indexes.read(user)
    return record === null ? null : JSON.parse(record.text)
  }

  /** What it lists, dead or alive. */
  async entries(user: string): Promise<[sid: string, at: number][]> {
    return (await this.index(user))?.sessions ?? []
  }

  /** Makes these the entries of the index. */
  async plant(user: string, sessions: [sid: string, at: number][]): Promise<void> {
    const text = JSON.stringify({ until: Date.now() + 60_000, last: 0, sessions })
    const { indexes } = this.#storage
    await indexes.write(user, text, Infinity, await indexes.read(user))
  }

  /** As memcached does when it needs the room: without a tombstone. */
  evict(sid: string): Promise<void> {
    return this.raw.delete(this.#keys.of(sid))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#storage.close(), ...this.#stores.map(store => store.close())])
  }
}
