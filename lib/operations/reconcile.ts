import type { SessionData } from 'express-session'
import { asError, ConnectionLostError, MemcachedStoreError } from '../errors.ts'
import type { WriteMode } from '../memcached/node.ts'
import { NOT_FOUND, OK, type Reply } from '../memcached/reply.ts'
import { pause } from '../pause.ts'
import { isSession, isUnmodified, TOMBSTONE } from '../session/codec.ts'
import { merge, same } from '../session/merge.ts'
import type { ConflictOutcome, Context, Done } from './context.ts'
import { before } from './deadline.ts'
import { isRevoked } from './destroy.ts'
import { replied, textIn, toItem } from './item.ts'
import { type Save, settle } from './save.ts'
import { enlist } from './users/enlist.ts'
import { knownUser, userOf } from './users/user-of.ts'

/** In one process saves of a session take turns, so this many lost races need many processes. */
const MOST_ATTEMPTS = 32
/** Milliseconds; the wait before another attempt is a random part of this at most. */
const LONGEST_PAUSE = 50

/**
 * Brings a save that was refused, or whose reply was lost, to an end: looks at what is stored now and
 * decides. Ends when the session is stored, when it turns out to be destroyed, or with an error.
 *
 * @param failure - what the first write failed with, if it did. @param refused - else its reply, if any.
 */
export function reconcile(
  context: Context,
  save: Save,
  failure: Error | null,
  refused: Reply | null,
  done: Done<void>,
): void {
  const course = { over: false }
  const finish: Done<void> = error => {
    course.over = true
    done(error)
  }
  // Finding out what became of a lost write may take what is left of its deadline.
  const settled = failure instanceof ConnectionLostError ? before(failure.remaining, failure, finish) : finish
  pursue(context, save, failure, refused, course).then(
    () => settled(null),
    (thrown: unknown) => settled(asError(thrown)),
  )
}

/** What to write over what is stored, null for nothing; and what is then told of it. */
interface Decision {
  readonly text: string | null
  readonly outcome?: ConflictOutcome
}

/** Rare and slow: promises read better here. */
async function pursue(
  context: Context,
  save: Save,
  failure: Error | null,
  refused: Reply | null,
  course: { over: boolean },
): Promise<void> {
  let missing = refused?.status === NOT_FOUND
  let lost = failure
  let decision: Decision = { text: save.text }
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    if (lost !== null && !(lost instanceof ConnectionLostError)) throw lost
    if (attempt > 0) {
      context.counts.retries++
      await pause(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE))
    }

    const current = missing ? null : await currentItem(context, save)
    // The write whose reply was lost may have been carried out.
    const isStored = lost !== null && current !== null && textIn(current) === decision.text
    if (!isStored) decision = current === null ? { text: save.text } : await decide(context, save, current)
    if (course.over) return
    if (decision.text === null) {
      tell(context, save, decision)
      return
    }
    if (!isStored) await listAgain(context, save, decision.text, current)
    try {
      const reply = isStored ? current : await put(context, save, decision.text, current)
      if (reply.status === OK) {
        settle(context, save, reply, decision.text)
        tell(context, save, decision)
        return
      }
      missing = reply.status === NOT_FOUND
      lost = null
    } catch (error) {
      missing = false
      lost = error as Error
    }
  }
  throw new MemcachedStoreError('ERR_CONFLICT', 'Too many overlapping writes of one session: try again')
}

/** What is stored now, or null. */
async function currentItem(context: Context, { item }: Save): Promise<Reply | null> {
  const reply = await replied(done => context.cluster.home(item.key).get(item.key, done))
  return reply.status === NOT_FOUND ? null : reply
}

/** `add` where nothing is: had it been destroyed meanwhile, the tombstone would refuse it. */
function put(context: Context, save: Save, text: string, current: Reply | null): Promise<Reply> {
  const { key, value, flags } = toItem(context, save.sid, save.item.key, text)
  const { revision, listedAt } = save
  const isConditional = revision !== undefined || listedAt !== 0
  const mode: WriteMode = !isConditional ? 'set' : current === null ? 'add' : 'replace'
  const condition = mode === 'replace' ? current : null
  const expiration = context.expiry.expiration(save.lifetime.left + save.lifetime.slack)
  return replied(done =>
    context.cluster
      .home(key)
      .write(mode, { key, value, flags, expiration }, condition?.version ?? null, done),
  )
}

/** Lists the session if what is to be written is another user's than what is stored, and than was listed for this save. */
async function listAgain(context: Context, save: Save, text: string, current: Reply | null): Promise<void> {
  const { settings, codec } = context
  if (settings.userOf === undefined) return
  const user = text === save.text ? save.user : userOf(settings, codec.decode(text) as SessionData)
  if (user === undefined || (user === save.user && save.listedAt !== 0)) return
  const stored = codec.decode((current === null ? null : textIn(current)) ?? '')
  if (stored !== null && user === knownUser(settings, stored)) return
  save.listedAt = await enlist(context, user, save.sid, save.lifetime)
}

async function decide(context: Context, save: Save, current: Reply): Promise<Decision> {
  const { revision, text, listedAt } = save
  if (revision === undefined) {
    return listedAt !== 0 && isRevoked(current, listedAt) ? { text: null, outcome: 'destroyed' } : { text }
  }
  if ((current.flags & TOMBSTONE) !== 0) return { text: null, outcome: 'destroyed' }
  const theirText = textIn(current)
  // Refreshed, repaired or never written: nobody changed what this request read.
  if (theirText === null || (isUnmodified(revision.text, theirText) && !revision.behind)) return { text }

  const theirs = context.codec.decode(theirText)
  if (theirs === null) return { text }
  const base = context.codec.decode(revision.text) as SessionData
  if (isSameButCookie(base, theirs) && !revision.behind) return { text }
  const mine = context.codec.decode(text) as SessionData
  const { onConflict } = context.settings
  if (onConflict === 'reject') {
    tell(context, save, { outcome: 'rejected' })
    throw new MemcachedStoreError(
      'ERR_CONFLICT',
      'The session was changed by another request since this one read it',
    )
  }
  if (onConflict === 'overwrite') return { text, outcome: 'overwritten' }
  if (onConflict === 'merge') {
    const merged = merge(base, mine, theirs) as SessionData
    return { text: context.codec.encode({ ...merged, cookie: mine.cookie }), outcome: 'merged' }
  }
  const resolved: unknown = await onConflict(base, mine, theirs)
  if (!isSession(resolved))
    throw new TypeError('Expected `onConflict` to return a session, with its `cookie`')
  return { text: context.codec.encode(resolved), outcome: 'resolved' }
}

/** Of sessions whose texts do not tell, for their serializer's format. */
function isSameButCookie(a: SessionData, b: SessionData): boolean {
  return same({ ...a, cookie: null }, { ...b, cookie: null })
}

function tell(context: Context, save: Save, { outcome }: Pick<Decision, 'outcome'>): void {
  if (outcome === undefined) return
  context.counts.conflicts++
  if (outcome === 'merged') context.counts.merges++
  context.emit('conflict', save.sid, { outcome })
}
