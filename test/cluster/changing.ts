import type { SessionData } from 'express-session'
import { Ring } from '../../lib/cluster/ring.ts'
import { MemcachedStore, type MemcachedStoreOptions, type Servers } from '../../lib/index.ts'
import { until } from '../support/until.ts'

export const PREFIX = 'changing:'

/** A session as a plain object, which counts. */
export function counting(n: number): SessionData {
  return { cookie: { originalMaxAge: null }, n } as unknown as SessionData
}

export function countOf(session: SessionData | null): number | undefined {
  return (session as { n?: number } | null)?.n
}

/** The sessions that one list places on another server than another one does. */
export function movedBetween(
  before: readonly string[],
  after: readonly string[],
  sids: readonly string[],
): string[] {
  const home = (servers: readonly string[], sid: string): string =>
    servers[new Ring(servers).home(PREFIX + sid)] as string
  return sids.filter(sid => home(before, sid) !== home(after, sid))
}

/** A store, and what its function tells: servers, or what it fails with. */
export class Changing implements AsyncDisposable {
  readonly store: MemcachedStore
  /** How often it was asked. */
  asked = 0
  /** How often the list has changed. */
  changes = 0
  answer: () => unknown

  constructor(answer: () => unknown, options: MemcachedStoreOptions = {}) {
    this.answer = answer
    const servers = (): Servers => {
      this.asked++
      return this.answer() as Servers
    }
    this.store = new MemcachedStore({ servers, refresh: 0.02, prefix: PREFIX, timeout: 2000, ...options })
    this.store.on('servers', () => this.changes++)
  }

  /** Tells this from now on, and waits until the store has heard it. */
  async become(servers: readonly string[]): Promise<void> {
    const { changes } = this
    this.answer = () => servers
    await until(() => this.changes > changes)
  }

  /** Tells something else for a while, that changes nothing. */
  async mumble(answer: () => unknown): Promise<void> {
    const { answer: before, asked } = this
    this.answer = answer
    await until(() => this.asked > asked + 2)
    this.answer = before
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.store.close()
  }
}
