import type { Cluster } from '../cluster/cluster.ts'
import { ConnectionLostError } from '../errors.ts'
import type { Version as CasToken, Item } from '../memcached/node.ts'
import { EXISTS, NOT_FOUND, OK, type Reply } from '../memcached/reply.ts'
import { backOff } from '../pause.ts'
import { noVersions } from './no-versions.ts'
import { replied } from './replied.ts'
import { MOVED } from './stored-form.ts'

/** Rounds of looks, one after the other, that find nothing where there is nothing. */
const EMPTY_ROUNDS = 2
/** And after which what is on its way has been left there: some 100 ms, where a move takes two round trips. */
const MAX_ROUNDS = 8
/** Milliseconds. */
const MAX_PAUSE = 64

const MINUTE = 60_000
/** The highest flags but the sign bit say when it was moved: the minute of Unix time, and 0 for never. */
const STAMP_SHIFT = 21
const STAMPS = 0x3ff
/** Minutes for which it stays then. */
const REST = 2

/** The version of what lies under one of several keys. */
export class Placed {
  readonly key: string
  readonly version: CasToken | null
  /** When it was moved, as its flags say. */
  readonly stamp: number

  constructor(key: string, version: CasToken | null, stamp: number) {
    this.key = key
    this.version = version
    this.stamp = stamp
  }

  static of(key: string, { version, flags }: Reply): Placed {
    return new Placed(key, version, (flags >>> STAMP_SHIFT) & STAMPS)
  }

  /** The flags that say so. */
  get flags(): number {
    return this.stamp << STAMP_SHIFT
  }

  /** Was it moved a moment ago, by whichever clock? */
  get rests(): boolean {
    const since = (stampNow() - this.stamp) & STAMPS
    return this.stamp !== 0 && (since < REST || since > STAMPS - REST)
  }
}

function stampNow(): number {
  const minute = Math.trunc(Date.now() / MINUTE) & STAMPS
  return minute === 0 ? 1 : minute
}

/** What was found, and under which key. */
export interface Found {
  readonly key: string
  readonly reply: Reply
}

/** What came of a write, and where it lies now. */
export interface Written {
  readonly reply: Reply
  readonly placed: Placed
}

/** Makes the item of a value for one of its keys. */
export type MakeItem = (key: string, flags: number) => Item | Promise<Item>

/**
 * Records whose key has changed, because keys are hashed now, or with another secret. They are found under their
 * former key, and moved when they are next written.
 *
 * A move is decided in one place: the item under the former key is replaced by the new value, on the condition that it
 * is what was read, and marked as moved. Then it lies under its own key, and the marked one goes. Whoever meets it in
 * between waits for it.
 *
 * While an application is restarted one by one, two processes may have the same secrets in another order, and each
 * takes another key for the record's own. So what was moved rests for a minute or two, and is written where it lies:
 * nobody who looks under each key misses it since it goes to and fro.
 */
export class Relocation {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** What lies under one of these keys; its own is the first. */
  async find(key: string, others: readonly string[]): Promise<Found | null> {
    for (let round = 1, empty = 0; ; round++) {
      let moved: Found | null = null
      for (const place of round === 1 ? [key, ...others, key] : [...others, key]) {
        const reply = await this.#get(place)
        if (reply.status === NOT_FOUND) continue
        if (reply.version === null) throw noVersions(this.#cluster.home(place).address)
        if ((reply.flags & MOVED) === 0) return { key: place, reply }
        moved ??= { key: place, reply }
      }
      // One may be empty for what arrived in the midst of it: under the key looked under before, from that after.
      empty = moved === null ? empty + 1 : 0
      if (empty === EMPTY_ROUNDS) return null
      if (moved === null) continue
      if (round >= MAX_ROUNDS) return moved
      await backOff(round, MAX_PAUSE)
    }
  }

  /**
   * Writes what was found, where it lies, or to its own key.
   *
   * @returns with the reply to the write that decided: `EXISTS` or `NOT_FOUND` where something else lies there by now.
   * @throws ConnectionLostError - where others get in the way again and again: what is stored has to be looked at.
   */
  async write(key: string, over: Placed, make: MakeItem): Promise<Written> {
    if (over.key !== key && !over.rests) return this.#move(key, over, make)
    const item = await make(over.key, over.flags)
    const reply = await this.#replace(item, over.version)
    return { reply, placed: new Placed(over.key, reply.version, over.stamp) }
  }

  async #move(key: string, { key: from, version }: Placed, make: MakeItem): Promise<Written> {
    const marker = await make(from, MOVED)
    const marked = await this.#replace(marker, version)
    if (marked.status !== OK) return { reply: marked, placed: new Placed(from, null, 0) }
    const placed = new Placed(key, null, stampNow())
    const item = await make(key, placed.flags)
    const added = await this.#put(item)
    // Where it has been written over since, that was worked out on this: then what lies here is the older one.
    if (!(await this.#deleteThis(marker, marked))) await this.#deleteThis(item, added)
    return { reply: added, placed: new Placed(key, added.version, placed.stamp) }
  }

  /** Puts it where nothing is, or what is left of a move the other way. */
  async #put(item: Item): Promise<Reply> {
    const home = this.#cluster.home(item.key)
    for (let attempt = 0; attempt < MAX_ROUNDS; attempt++) {
      if (attempt > 0) await backOff(attempt, MAX_PAUSE)
      const added = await replied(done => home.write('add', item, null, done))
      if (added.status === OK) return added
      const there = await this.#get(item.key)
      if (there.status === NOT_FOUND || (there.flags & MOVED) === 0) continue
      const replaced = await this.#replace(item, there.version)
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
  async #deleteThis({ key, value, flags }: Item, written: Reply): Promise<boolean> {
    let { version } = written
    if (version === null) {
      // The text protocol does not tell the version of what it wrote.
      const reply = await this.#get(key)
      if (reply.status === NOT_FOUND) return true
      if (reply.flags !== flags || !reply.bytes.equals(Buffer.from(value))) return false
      version = reply.version
    }
    const deleted = await this.#delete(key, version)
    return deleted.status !== EXISTS
  }

  #get(key: string): Promise<Reply> {
    return replied(done => this.#cluster.home(key).get(key, done))
  }

  #replace(item: Item, version: CasToken | null): Promise<Reply> {
    return replied(done => this.#cluster.home(item.key).write('replace', item, version, done))
  }

  #delete(key: string, version: CasToken | null): Promise<Reply> {
    return replied(done => this.#cluster.home(key).delete(key, version, done))
  }
}
