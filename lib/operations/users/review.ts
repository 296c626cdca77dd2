import type { SessionData } from 'express-session'
import { revisionOf } from '../../session/revision.ts'
import { type Entry, formatIndex, type UserIndex } from '../../session/user-index.ts'
import type { Context } from '../context.ts'
import { revoke } from '../destroy.ts'
import { readMany } from '../read-many.ts'
import { mostBytes, readIndex, writeIndex } from './user-index.ts'

/** So many sessions of one user may live; the oldest beyond them are destroyed. */
const MOST_SESSIONS = 1000
/** With more entries than that, an index is looked through each time it has grown by so many. */
const REVIEW_STEP = 16
/** From so many on an index is looked through each time it has doubled. A power of two. */
const FIRST_REVIEW = 16
/** Milliseconds for which an entry whose session is missing may be of a login that is about to write it. */
const GRACE = 300_000

/** Sessions of an index, as they were just read. */
export type Found = ReadonlyMap<string, SessionData>

/** The user's living sessions, in the order in which they were listed. Drops from the index what is none. */
export async function review(context: Context, user: string): Promise<[sid: string, session: SessionData][]> {
  const stored = await readIndex(context, user)
  if (stored === null) return []
  const { index } = stored
  const found = await sessionsIn(context, index.entries)
  const standing = index.entries.filter(entry => isYoung(entry) || belongs(context, user, entry.sid, found))
  const doomed = new Set(surplus(context, user, { ...index, entries: standing }, found))
  // Destroyed rather than forgotten: a session that is not listed would survive every sign-out.
  await Promise.all([...doomed].map(entry => revoke(context, entry)))
  const kept = standing.filter(entry => !doomed.has(entry))
  // Where this is refused somebody has just written: another look will drop them.
  if (kept.length < index.entries.length) await writeIndex(context, user, stored, { ...index, entries: kept })
  return kept
    .filter(({ sid }) => belongs(context, user, sid, found))
    .map(({ sid }) => [sid, found.get(sid) as SessionData])
}

/** Is a review due? So seldom that a login pays for a few reads on average. */
export function isCrowded(context: Context, index: UserIndex): boolean {
  const { length } = index.entries
  if (length > MOST_SESSIONS)
    return (length - MOST_SESSIONS) % REVIEW_STEP === 1 || tooLarge(context, index) > 0
  return (length >= FIRST_REVIEW && (length & (length - 1)) === 0) || tooLarge(context, index) > 0
}

export function sessionsIn(context: Context, entries: readonly Entry[]): Promise<Found> {
  return new Promise((resolve, reject) => {
    const sids = entries.map(({ sid }) => sid)
    readMany(context, sids, (error, found) => (error === null ? resolve(found as Found) : reject(error)))
  })
}

/** Was this session found alive, and this user's? */
export function belongs(context: Context, user: string, sid: string, found: Found): boolean {
  const session = found.get(sid)
  return session !== undefined && revisionOf(session, context.sessions, sid)?.user === user
}

export function isYoung({ at }: Entry): boolean {
  return Date.now() - at < GRACE
}

/**
 * Entries that there is no room for. Sessions are counted, not entries, so that logins and logouts cost no
 * living session its place; and where the index is too large, logins that have not been written yet give
 * way first. A session of somebody else is not this user's to destroy.
 */
function surplus(context: Context, user: string, index: UserIndex, found: Found): Entry[] {
  const living = index.entries.filter(({ sid }) => belongs(context, user, sid, found))
  const missing = index.entries.filter(({ sid }) => !found.has(sid))
  const tooMany = Math.max(0, living.length - MOST_SESSIONS)
  const inOrder = [...living.slice(0, tooMany), ...missing, ...living.slice(tooMany)]
  return inOrder.slice(0, Math.max(tooMany, tooLarge(context, index)))
}

/** How many entries the index is too large by. Half an item is left free, for logins that come before the next review. */
function tooLarge(context: Context, index: UserIndex): number {
  const bytes = Buffer.byteLength(formatIndex(index))
  return Math.max(0, Math.ceil(index.entries.length * (1 - mostBytes(context) / 2 / bytes)))
}
