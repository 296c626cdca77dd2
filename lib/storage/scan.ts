import type { Cluster, ServersNow } from '../cluster/cluster.ts'
import { MemcachedStoreError } from '../errors.ts'
import type { MemcachedNode } from '../memcached/node.ts'
import { OK, type Reply } from '../memcached/reply.ts'
import type { ListedItem } from '../memcached/walk.ts'
import type { Keys } from './keys.ts'
import { MAX_TOMBSTONE } from './limits.ts'
import { type Choose, pages } from './pages.ts'
import { Placed } from './relocation.ts'
import { fromEach, onEach } from './side-by-side.ts'
import type { ScannedRecord } from './storage.ts'
import { MOVED, nameIn, type StoredForm, toRecord } from './stored-form.ts'

/** Values that are asked for at a time, and their bytes. */
const MAX_VALUES = 128
const MAX_BYTES: number = 256 * 1024
/** Seconds: an item outlives its session by up to 3, and the clocks of two machines differ. */
const NEARLY_OVER = 10
/** Deletes that are on their way at a time. */
const DELETES_AT_ONCE = 256

/** Walks over what lies under a prefix, on all servers. */
export class Scan {
  readonly #cluster: Cluster
  readonly #keys: Keys
  readonly #form: StoredForm

  constructor(cluster: Cluster, keys: Keys, form: StoredForm) {
    this.#cluster = cluster
    this.#keys = keys
    this.#form = form
  }

  /** See `Sessions.scan`. */
  async *sessions(alive?: (sid: string) => void): AsyncGenerator<ScannedRecord[], void, undefined> {
    const cluster = await this.#cluster.now()
    const soon = Date.now() / 1000 + NEARLY_OVER
    yield* fromEach(cluster.nodes, (node, signal) => {
      const choose: Choose = (item, isFirst) => {
        if (!this.#isSession(cluster, node, item)) return false
        if (alive === undefined || this.#isDoubtful(item, soon)) return true
        if (isFirst) alive(this.#keys.idIn(item.key))
        return false
      }
      return this.#whileThere(node, this.#read(node, choose, signal))
    })
  }

  /** Deletes every key under the prefix, and nothing else. */
  async clear(): Promise<void> {
    const { nodes } = await this.#cluster.now()
    return onEach(nodes, async (node, signal) => {
      const all = pages(node, this.#keys.prefix, () => true, signal)
      for await (const page of this.#whileThere(node, all)) {
        for (let at = 0; at < page.length; at += DELETES_AT_ONCE) {
          await deleteAll(node, page.slice(at, at + DELETES_AT_ONCE))
        }
      }
    })
  }

  /**
   * What comes from a server. One that leaves the list of servers meanwhile may finish, and where it does not that
   * is no failure: what lies there is nobody's any more, and those whose home it was have another one, or none.
   */
  async *#whileThere<T>(
    node: MemcachedNode,
    source: AsyncGenerator<T, void, undefined>,
  ): AsyncGenerator<T, void, undefined> {
    try {
      yield* source
    } catch (error) {
      const { nodes } = await this.#cluster.now()
      if (nodes.includes(node)) throw error
      const { address } = node
      if (nodes.every(other => other.address !== address)) return
      // With another password, or back again: nobody knows what was passed by then.
      const message = `memcached on ${address} was connected to anew while it was listed: try again`
      throw new MemcachedStoreError('ERR_UNAVAILABLE', message, { cause: error })
    }
  }

  /** A session, or its tombstone, where `get` looks for it: one left behind by a change of `servers` is not seen. */
  #isSession(cluster: ServersNow, node: MemcachedNode, { key }: ListedItem): boolean {
    return this.#keys.isSession(key) && (cluster.nodes.length === 1 || cluster.home(key) === node)
  }

  /** Does its key not tell whether it is a living session's? So with tombstones, sessions about to end, and hidden ids. */
  #isDoubtful({ key, size, expires }: ListedItem, soon: number): boolean {
    return (
      size <= key.length + MAX_TOMBSTONE ||
      expires <= soon ||
      this.#keys.hashesAll ||
      this.#keys.isHashed(key)
    )
  }

  /** What lies under the chosen keys of a server. */
  async *#read(
    node: MemcachedNode,
    choose: Choose,
    signal: AbortSignal,
  ): AsyncGenerator<ScannedRecord[], void, undefined> {
    for await (const page of pages(node, this.#keys.prefix, choose, signal)) {
      for (const batch of batches(page)) yield await this.#readBatch(node, batch)
    }
  }

  #readBatch(node: MemcachedNode, items: readonly ListedItem[]): Promise<ScannedRecord[]> {
    return new Promise((resolve, reject) => {
      const found: ScannedRecord[] = []
      let left = items.length
      const take = (scanned: ScannedRecord | null): void => {
        if (scanned !== null) found.push(scanned)
        if (--left === 0) resolve(found)
      }
      for (const { key } of items) {
        const askedAt = performance.now()
        node.get(key, (error, reply) => {
          if (error !== null) reject(error)
          else this.#take(key, reply as Reply, askedAt, take)
        })
      }
    })
  }

  #take(key: string, reply: Reply, askedAt: number, take: (scanned: ScannedRecord | null) => void): void {
    const { status, flags, version } = reply
    const placed = Placed.of(key, reply)
    const done = (text: string | null): void => {
      const sid = this.#keys.isHashed(key) ? nameIn(text, flags) : this.#keys.idIn(key)
      const isSeen = sid !== undefined && (flags & MOVED) === 0 && this.#isSeen(sid, key)
      const known = this.#keys.hasOthers ? placed : version
      take(isSeen ? { sid, record: toRecord(text, flags, known), askedAt } : null)
    }
    const text = status === OK ? this.#form.text(key, reply) : null
    if (status !== OK) take(null)
    else if (text instanceof Promise) void text.then(done)
    else done(text)
  }

  /** Is that where `get` looks for this session? */
  #isSeen(sid: string, key: string): boolean {
    const keys = this.#keys
    const isOwn = (!keys.hashesAll && !keys.isHashed(key)) || keys.of(sid) === key
    return isOwn || keys.othersOf(sid).includes(key)
  }
}

function* batches(page: readonly ListedItem[]): Generator<ListedItem[], void, undefined> {
  let batch: ListedItem[] = []
  let bytes = 0
  for (const item of page) {
    batch.push(item)
    bytes += item.size
    if (batch.length === MAX_VALUES || bytes >= MAX_BYTES) {
      yield batch
      batch = []
      bytes = 0
    }
  }
  if (batch.length > 0) yield batch
}

function deleteAll(node: MemcachedNode, items: readonly ListedItem[]): Promise<unknown> {
  return Promise.all(
    items.map(
      ({ key }) =>
        new Promise<void>((resolve, reject) => {
          node.delete(key, null, error => (error === null ? resolve() : reject(error)))
        }),
    ),
  )
}
