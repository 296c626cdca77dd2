import type { SessionData } from 'express-session'
import { MemcachedStoreError } from '../../errors.ts'
import { pause } from '../../pause.ts'
import { expiresOf } from '../../session/expiry.ts'
import type { Entry } from '../../session/user-index.ts'
import type { Context } from '../context.ts'
import { revoke } from '../destroy.ts'
import { belongs, isYoung, review, sessionsIn } from './review.ts'
import { readIndex, writeIndex } from './user-index.ts'

const MOST_ATTEMPTS = 100
/** Milliseconds; the wait before another attempt is a random part of this at most. */
const LONGEST_PAUSE = 50

/** One living session of a user. */
export interface UserSession {
  readonly sid: string
  readonly session: SessionData
  /**
   * When its visitor was last seen, late by `touchAfter` at most: the last time its cookie's date was
   * stored. Undefined where the cookie has no date or no `originalMaxAge`.
   */
  readonly lastSeen: Date | undefined
  /** When it ends if its visitor does not come back. Undefined where `lastSeen` and the cookie do not tell. */
  readonly expires: Date | undefined
}

export interface DestroyAllOptions {
  /** Id of the one session that stays: usually `req.sessionID`. */
  except?: string | undefined
}

/** The user's living sessions, the latest login first. */
export async function sessionsOf(context: Context, user: string): Promise<UserSession[]> {
  check(context, user)
  const living = await review(context, user)
  return living.reverse().map(([sid, session]) => ({ sid, session, ...times(context, sid, session) }))
}

/**
 * Destroys every session that is listed, until nothing has been listed in between. A login that is
 * listed but not yet written finds a tombstone that refuses it.
 */
export async function destroyAllOf(
  context: Context,
  user: string,
  { except }: DestroyAllOptions = {},
): Promise<void> {
  check(context, user)
  const revoked = new Map<string, number>()
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    if (attempt > 0) await pause(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE))
    const stored = await readIndex(context, user)
    if (stored === null) return
    const { entries } = stored.index
    const others = entries.filter(({ sid, at }) => sid !== except && revoked.get(sid) !== at)
    const found = await sessionsIn(context, others)
    // A session of somebody else stays. Should it be about to become this user's, that is a login after this.
    const isForeign = ({ sid }: Entry): boolean => found.has(sid) && !belongs(context, user, sid, found)
    const doomed = others.filter(entry => !isForeign(entry))
    await Promise.all(doomed.map(entry => revoke(context, entry)))
    for (const { sid, at } of doomed) revoked.set(sid, at)
    const left = entries.filter(entry => entry.sid === except || (isForeign(entry) && isYoung(entry)))
    if (left.length === entries.length) return
    if (await writeIndex(context, user, stored, { ...stored.index, entries: left })) return
  }
  throw new MemcachedStoreError('ERR_CONFLICT', 'Too many logins of this user meanwhile: try again')
}

function check(context: Context, user: unknown): void {
  if (context.settings.userOf === undefined) {
    throw new TypeError('Expected the option `userOf` to be a function, since sessions are asked for by user')
  }
  if (typeof user !== 'string') throw new TypeError(`Expected \`user\` to be a string, got (${typeof user})`)
}

/** A cookie's date lies `originalMaxAge` after the moment at which it was refreshed. */
function times(
  context: Context,
  sid: string,
  session: SessionData,
): Pick<UserSession, 'lastSeen' | 'expires'> {
  const date = expiresOf(session.cookie)
  const { originalMaxAge } = session.cookie
  const seen = date !== undefined && typeof originalMaxAge === 'number' ? date - originalMaxAge : undefined
  const { ttl } = context.settings
  // A `ttl` function stands above the cookie's date.
  const ends = typeof ttl !== 'function' ? date : seen && seen + ttl(session, sid) * 1000
  return { lastSeen: toDate(seen), expires: toDate(ends) }
}

function toDate(time: number | undefined): Date | undefined {
  return time === undefined || Number.isNaN(time) ? undefined : new Date(time)
}
