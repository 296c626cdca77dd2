import type { SessionData } from 'express-session'
import type { MemcachedNode } from '../../memcached/node.ts'
import { OK, type Reply } from '../../memcached/reply.ts'
import type { ListedItem } from '../../memcached/walk.ts'
import { splitName } from '../../session/codec.ts'
import { recordIn } from '../../storage/sessions.ts'
import type { Context } from '../context.ts'
import { sessionIn } from '../read.ts'
import { type Choose, pages } from './pages.ts'
import { fromEach, onEach } from './side-by-side.ts'

/** A living session and its id. */
export interface ListedSession {
  readonly sid: string
  readonly session: SessionData
}

/** Values that are asked for at a time, and their bytes. */
const MOST_VALUES = 128
const MOST_BYTES: number = 256 * 1024
/**
 * A tombstone takes some 80 bytes and its key, 63 of them memcached's own (see `storage/sessions.ts`); another build
 * may add more or less. What an express-session needs is above this: its cookie alone has 70 bytes.
 */
const LARGEST_TOMBSTONE = 128
/** Seconds: an item outlives its session by up to 3, and the clocks of two machines differ. */
const NEARLY_OVER = 10

/** All living sessions, read in batches while the consumer goes on: it alone sets the pace. */
export async function* everySession(context: Context): AsyncGenerator<ListedSession, void, undefined> {
  const { nodes } = context.cluster
  const batches = fromEach(nodes, (node, signal) =>
    readFrom(context, node, item => isSession(context, node, item), signal),
  )
  for await (const batch of batches) yield* batch
}

/**
 * Calls `found` with the id of each living session: as exact as reading them all, but only those are
 * read whose keys leave a doubt, which are tombstones, sessions about to end, and hashed ids.
 */
export function everyId(context: Context, found: (sid: string) => void): Promise<void> {
  const soon = Date.now() / 1000 + NEARLY_OVER
  return onEach(context.cluster.nodes, async (node, signal) => {
    const choose: Choose = (item, isFirst) => {
      if (!isSession(context, node, item)) return false
      const { key, size, expires } = item
      if (size <= key.length + LARGEST_TOMBSTONE || expires <= soon || context.keys.isHashed(key)) return true
      if (isFirst) found(idIn(context, key))
      return false
    }
    for await (const batch of readFrom(context, node, choose, signal)) {
      for (const { sid } of batch) found(sid)
    }
  })
}

/** A session, or its tombstone, where `get` looks for it: one left behind by a change of `servers` is not seen. */
function isSession({ keys, cluster }: Context, node: MemcachedNode, { key }: ListedItem): boolean {
  return keys.isSession(key) && (cluster.nodes.length === 1 || cluster.home(key) === node)
}

/** The living sessions among the chosen keys of a server. */
async function* readFrom(
  context: Context,
  node: MemcachedNode,
  choose: Choose,
  signal: AbortSignal,
): AsyncGenerator<ListedSession[], void, undefined> {
  for await (const page of pages(node, context.keys.prefix, choose, signal)) {
    for (const batch of batches(page)) yield await readBatch(context, node, batch)
  }
}

function* batches(page: readonly ListedItem[]): Generator<ListedItem[], void, undefined> {
  let batch: ListedItem[] = []
  let bytes = 0
  for (const item of page) {
    batch.push(item)
    bytes += item.size
    if (batch.length === MOST_VALUES || bytes >= MOST_BYTES) {
      yield batch
      batch = []
      bytes = 0
    }
  }
  if (batch.length > 0) yield batch
}

function readBatch(
  context: Context,
  node: MemcachedNode,
  items: readonly ListedItem[],
): Promise<ListedSession[]> {
  return new Promise((resolve, reject) => {
    const found: ListedSession[] = []
    let left = items.length
    for (const { key } of items) {
      const askedAt = performance.now()
      node.get(key, (error, reply) => {
        if (error !== null) {
          reject(error)
          return
        }
        const listed = toListed(context, key, reply as Reply, askedAt)
        if (listed !== null) found.push(listed)
        if (--left === 0) resolve(found)
      })
    }
  })
}

function toListed(context: Context, key: string, reply: Reply, askedAt: number): ListedSession | null {
  if (reply.status !== OK) return null
  const sid = context.keys.isHashed(key) ? splitName(reply.text)?.sid : idIn(context, key)
  const session = sid === undefined ? null : sessionIn(context, sid, recordIn(reply), askedAt)
  return session === null || sid === undefined ? null : { sid, session }
}

function idIn(context: Context, key: string): string {
  return key.slice(context.keys.prefix.length)
}
