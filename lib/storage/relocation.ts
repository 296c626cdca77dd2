import type { Cluster } from '../cluster/cluster.ts'
import { ConnectionLostError } from '../errors.ts'
import type { Version as CasToken, Item } from '../memcached/node.ts'
import { EXISTS, NOT_FOUND, OK, type Reply } from '../memcached/reply.ts'
import { backOff } from '../pause.ts'
import type { Elsewhere, Version } from './record.ts'
import { replied } from './replied.ts'
import { MOVED } from './stored-form.ts'

/** Rounds of looks after which there is nothing. */
const ROUNDS = 2
/** And after which what is on its way has been left there: some 100 ms, where a move takes two round trips. */
const MAX_ROUNDS = 8
/** Milliseconds. */
const MAX_PAUSE = 64

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

  /**
   * What lies under one of these keys, where its own was just seen to hold nothing. It may be moved between two looks,
   * so one round is not enough; and while it is on its way it is waited for, unless its process seems to have died.
   */
  async find(key: string, others: readonly string[]): Promise<Found | null> {
    for (let round = 1; ; round++) {
      let moved: Found | null = null
      for (const place of [...others, key]) {
        const reply = await replied(done => this.#cluster.home(place).get(place, done))
        if (reply.status === NOT_FOUND) continue
        if ((reply.flags & MOVED) === 0) return { key: place, reply }
        moved ??= { key: place, reply }
      }
      if (round >= (moved === null ? ROUNDS : MAX_ROUNDS)) return moved
      if (moved !== null) await backOff(round, MAX_PAUSE)
    }
  }

  /**
   * Writes what lies elsewhere, and moves it to its own key.
   *
   * @returns the reply to the write that decided: `EXISTS` or `NOT_FOUND` where something else lies there by now.
   * @throws ConnectionLostError - where others get in the way again and again: what is stored has to be looked at.
   */
  async move(key: string, { key: from, version }: Elsewhere, make: MakeItem): Promise<Reply> {
    const marker = await make(from, MOVED)
    const marked = await replied(done =>
      this.#cluster.home(from).write('replace', marker, version as CasToken | null, done),
    )
    if (marked.status !== OK) return marked
    const item = await make(key, 0)
    const added = await this.#put(key, item)
    // Where it has been written over since, that was worked out on this: then what lies here is the older one.
    if (!(await this.#deleteThis(from, marker, marked))) await this.#deleteThis(key, item, added)
    return added
  }

  /** Puts it where nothing is, or what is left of a move the other way. */
  async #put(key: string, item: Item): Promise<Reply> {
    const home = this.#cluster.home(key)
    for (let attempt = 0; attempt < MAX_ROUNDS; attempt++) {
      if (attempt > 0) await backOff(attempt, MAX_PAUSE)
      const added = await replied(done => home.write('add', item, null, done))
      if (added.status === OK) return added
      const there = await replied(done => home.get(key, done))
      if (there.status === NOT_FOUND || (there.flags & MOVED) === 0) continue
      const replaced = await replied(done => home.write('replace', item, there.version, done))
      if (replaced.status === OK) return replaced
    }
    throw new ConnectionLostError(
      'ERR_UNAVAILABLE',
      'A record was moved to its new key by several processes at once',
    )
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
