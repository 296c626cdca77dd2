import type { Cluster } from '../cluster/cluster.ts'
import { ConnectionLostError } from '../errors.ts'
import type { Version as CasToken, Item } from '../memcached/node.ts'
import { EXISTS, NOT_FOUND, OK, type Reply } from '../memcached/reply.ts'
import type { Elsewhere, Version } from './record.ts'
import { replied } from './replied.ts'
import { MOVED } from './stored-form.ts'

/** What was found, and under which key. */
export interface Found {
  readonly key: string
  readonly reply: Reply
}

/** Makes the item of a value for one of its keys. */
export type MakeItem = (key: string, flags: number) => Item | Promise<Item>

/**
 * Records whose key has changed, because keys are hashed now, or with another secret. They are found under their
 * former key, and moved when they are next written.
 *
 * Two processes may have the same secrets in another order while an application is restarted one by one, so each move
 * is decided in one place: the item under the former key is replaced by the new value, on the condition that it is
 * what was read, and marked as moved. Then it lies under its own key, and the marked one goes. Whoever meets it in
 * between reads it, unless it lies under its own key already.
 */
export class Relocation {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** Looks under these keys in turn, and under the first again, to which it may have been moved meanwhile. */
  async find(key: string, others: readonly string[]): Promise<Found | null> {
    let moved: Found | null = null
    for (const place of [...others, key]) {
      const reply = await replied(done => this.#cluster.home(place).get(place, done))
      if (reply.status === NOT_FOUND) continue
      if ((reply.flags & MOVED) === 0) return { key: place, reply }
      moved ??= { key: place, reply }
    }
    return moved
  }

  /**
   * Writes what lies elsewhere, and moves it to its own key.
   *
   * @returns the reply to the write that decided: `EXISTS` or `NOT_FOUND` where something else lies there by now.
   * @throws ConnectionLostError - where another process moved it at the same time: what is stored has to be looked at.
   */
  async move(key: string, { key: from, version }: Elsewhere, make: MakeItem): Promise<Reply> {
    const marker = await make(from, MOVED)
    const marked = await replied(done =>
      this.#cluster.home(from).write('replace', marker, version as CasToken | null, done),
    )
    if (marked.status !== OK) return marked
    const item = await make(key, 0)
    const added = await replied(done => this.#cluster.home(key).write('add', item, null, done))
    if (added.status !== OK) throw crossed()
    if (await this.#deleteThis(from, marker, marked)) return added
    // Somebody has gone on with it where it was.
    await this.#deleteThis(key, item, added)
    throw crossed()
  }

  /** Deletes whatever lies under these keys. */
  async deleteAll(keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map(key => this.#delete(key, null)))
  }

  /** Deletes what was just written, if it is still there. False where something else is. */
  async #deleteThis(key: string, { value, flags }: Item, written: Reply): Promise<boolean> {
    let { version } = written
    if (version === null) {
      // The text protocol does not tell the version of what it wrote.
      const reply = await replied(done => this.#cluster.home(key).get(key, done))
      if (reply.status === NOT_FOUND) return true
      if (reply.flags !== flags || !reply.bytes.equals(Buffer.from(value))) return false
      version = reply.version
    }
    const deleted = await this.#delete(key, version)
    return deleted.status !== EXISTS
  }

  #delete(key: string, version: Version | null): Promise<Reply> {
    return replied(done => this.#cluster.home(key).delete(key, version as CasToken | null, done))
  }
}

function crossed(): ConnectionLostError {
  return new ConnectionLostError(
    'ERR_UNAVAILABLE',
    'A record was moved to its new key by two processes at once',
  )
}
