import { ConnectionLostError, MemcachedStoreError } from '../../errors.ts'
import type { ReplyCallback, Version } from '../../memcached/node.ts'
import { NOT_FOUND, OK } from '../../memcached/reply.ts'
import { pause } from '../../pause.ts'
import { EMPTY, formatIndex, parseIndex, type UserIndex } from '../../session/user-index.ts'
import { expiration } from '../../storage/expiration.ts'
import type { Context } from '../context.ts'
import { replied } from '../replied.ts'

/** A user's index as memcached holds it, with the CAS token to change it by. */
export interface StoredIndex {
  readonly index: UserIndex
  readonly version: Version | null
}

/** What is to be changed of an index; gives what it got where nothing is. */
export type IndexChange = (index: UserIndex) => UserIndex

/** A change that waits for those before it. */
export interface WaitingChange {
  readonly apply: IndexChange
  readonly resolve: (index: UserIndex) => void
  readonly reject: (error: unknown) => void
}

/** In one process changes of an index take turns, so this many lost races need many processes. */
const MOST_ATTEMPTS = 100
/** Milliseconds; the wait before another attempt is a random part of this at most. */
const LONGEST_PAUSE = 50
/** For an index that is changed although its time is over by this process's clock. In milliseconds. */
const SHORTEST_LIFE = 60_000
/** More than key and item header take; the option `maxItemSize` counts them. */
const OVERHEAD = 320

/** What lists this user's sessions; null where nothing does. */
export async function readIndex(context: Context, user: string): Promise<StoredIndex | null> {
  const key = context.keys.ofUser(user)
  const reply = await replied(done => context.cluster.home(key).get(key, done))
  if (reply.status === NOT_FOUND) return null
  return { index: parseIndex(reply.text), version: reply.version }
}

/**
 * Writes the index over what was read. False where somebody else wrote in between, or where the reply
 * was lost: read again, and decide again.
 */
export async function writeIndex(
  context: Context,
  user: string,
  read: StoredIndex | null,
  index: UserIndex,
): Promise<boolean> {
  try {
    const reply = await replied(done => send(context, user, read, index, done))
    return reply.status === OK
  } catch (error) {
    if (error instanceof ConnectionLostError) return false
    throw error
  }
}

function send(
  context: Context,
  user: string,
  read: StoredIndex | null,
  index: UserIndex,
  done: ReplyCallback,
): void {
  const key = context.keys.ofUser(user)
  const home = context.cluster.home(key)
  const text = formatIndex(index)
  if (Buffer.byteLength(text) > mostBytes(context)) {
    throw new MemcachedStoreError('ERR_TOO_LARGE', 'A user has more sessions than an item can list')
  }
  const left = Math.max(index.until - Date.now(), SHORTEST_LIFE)
  const item = { key, value: text, flags: 0, expiration: expiration(left) }
  home.write(read === null ? 'add' : 'replace', item, read?.version ?? null, done)
}

/** So many bytes an index may have. */
export function mostBytes(context: Context): number {
  return context.settings.maxItemSize - OVERHEAD
}

/**
 * Changes an index, on the condition that nothing came in between. Changes that come while another is on
 * its way are made together after it: 50 logins of one user at once take as long as two.
 */
export function changeIndex(context: Context, user: string, apply: IndexChange): Promise<UserIndex> {
  return new Promise((resolve, reject) => {
    const change = { apply, resolve, reject }
    const waiting = context.indexChanges.get(user)
    if (waiting === undefined) void changeInTurn(context, user, [change])
    else waiting.push(change)
  })
}

async function changeInTurn(context: Context, user: string, first: WaitingChange[]): Promise<void> {
  for (let changes = first; changes.length > 0; changes = context.indexChanges.get(user) ?? []) {
    context.indexChanges.set(user, [])
    try {
      const index = await changeTogether(context, user, changes)
      for (const { resolve } of changes) resolve(index)
    } catch (error) {
      for (const { reject } of changes) reject(error)
    }
  }
  context.indexChanges.delete(user)
}

async function changeTogether(
  context: Context,
  user: string,
  changes: readonly WaitingChange[],
): Promise<UserIndex> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    if (attempt > 0) await pause(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE))
    const stored = await readIndex(context, user)
    const found = stored?.index ?? EMPTY
    const index = changes.reduce((changed, { apply }) => apply(changed), found)
    if (index === found || (await writeIndex(context, user, stored, index))) return index
  }
  throw new MemcachedStoreError('ERR_CONFLICT', 'Too many overlapping logins of one user: try again')
}
