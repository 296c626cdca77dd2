import { Session, type SessionData } from 'express-session'
import { asError, MemcachedStoreError } from '../errors.ts'
import { OK, type Reply } from '../memcached/reply.ts'
import { isSession, isUnmodified } from '../session/codec.ts'
import type { Lifetime } from '../session/expiry.ts'
import { attachRevision, Revision, revisionOf } from '../session/revision.ts'
import type { Context, Done } from './context.ts'
import { before } from './deadline.ts'
import { destroy } from './destroy.ts'
import { type Item, toItem } from './item.ts'
import { reconcile } from './reconcile.ts'
import { refresh } from './touch.ts'
import { enlist, keepListed } from './users/enlist.ts'
import { userOf } from './users/user-of.ts'

/** One save on its way: the session as it was when the save was asked for. */
export interface Save {
  readonly sid: string
  readonly session: SessionData
  readonly text: string
  readonly item: Item
  readonly lifetime: Lifetime
  /**
   * What the request read; undefined for a session that this store has not read. Known when the save's
   * turn has come: the save before it leaves one.
   */
  revision: Revision | undefined
  /** Whose session it is; undefined where it is nobody's, or without the option `userOf`. */
  readonly user: string | undefined
  /** When it was listed as its user's for this save ({@link Entry.at}); 0 where it was not. */
  listedAt: number
}

/**
 * Saves a session: one round trip, on the condition that nothing changed since it was read, with no
 * extra copy or parse unless something did. A session that is unmodified is only touched; one whose
 * life is over is destroyed.
 */
export function save(context: Context, sid: string, session: SessionData, done: Done<void>): void {
  const prepared = prepare(context, sid, session)
  if (prepared instanceof Error) {
    process.nextTick(done, prepared)
  } else if (prepared === null) {
    destroy(context, sid, done)
  } else {
    context.lanes.write(sid, done, answer => write(context, prepared, answer))
  }
}

/** Everything that can fail before the network; null where the session's life is over. */
function prepare(context: Context, sid: string, session: SessionData): Save | Error | null {
  try {
    if (!isSession(session)) {
      throw new TypeError('Expected `session` to be an object with a `cookie`, as express-session makes them')
    }
    const lifetime = context.expiry.of(session, sid)
    if (lifetime.left <= 0) return null
    const key = context.keys.of(sid)
    const text = context.codec.encode(session)
    return {
      sid,
      session,
      text,
      item: toItem(context, sid, key, text),
      lifetime,
      revision: undefined,
      user: userOf(context.settings, session),
      listedAt: 0,
    }
  } catch (error) {
    return asError(error)
  }
}

function write(context: Context, save: Save, done: Done<void>): void {
  save.revision = revisionOf(save.session, save.item.key)
  if (save.user === undefined || save.user === save.revision?.user) put(context, save, done)
  else writeListed(context, save, save.user, done)
}

/** Lists the session first as its new user's. All of it together has the time of one operation. */
function writeListed(context: Context, save: Save, user: string, done: Done<void>): void {
  const { timeout } = context.settings
  let isLate = false
  const failure = new MemcachedStoreError('ERR_TIMEOUT', `Not done within ${timeout} ms`)
  const answer = before(timeout, failure, error => {
    isLate = true
    done(error)
  })
  enlist(context, user, save.sid, save.lifetime).then(
    at => {
      save.listedAt = at
      if (isLate) context.lanes.leave(save.sid)
      else put(context, save, answer)
    },
    (thrown: unknown) => {
      context.lanes.leave(save.sid)
      answer(asError(thrown))
    },
  )
}

function put(context: Context, save: Save, done: Done<void>): void {
  const { item, lifetime, revision } = save
  const home = context.cluster.home(item.key)
  const expiration = context.expiry.expiration(lifetime.left + lifetime.slack)
  const leave = (error: Error | null): void => {
    context.lanes.leave(save.sid)
    if (error === null) keepListed(context, save.user, save.sid, lifetime)
    done(error)
  }
  const written = (error: Error | null, reply: Reply | null): void => {
    if (reply !== null && reply.status === OK) {
      settle(context, save, reply)
      leave(null)
    } else {
      reconcile(context, save, error, reply, leave)
    }
  }
  if (revision === undefined) {
    // What was listed may have been signed out since: then its tombstone refuses an `add`.
    const mode = save.listedAt === 0 ? 'set' : 'add'
    home.write(mode, { ...item, expiration }, null, written)
  } else if (isUnmodified(revision.text, save.text)) {
    refresh(context, save.sid, save.session, lifetime, revision, leave)
  } else if (revision.behind) {
    written(null, null)
  } else {
    // Unlike `set`, a `replace` that is refused leaves the old item where it is.
    home.write('replace', { ...item, expiration }, revision.version, written)
  }
}

/** Remembers what is stored now, so that the next save of this request is conditional on it. */
export function settle(context: Context, save: Save, reply: Reply, storedText: string = save.text): void {
  context.counts.writes++
  if (save.lifetime.expires === undefined) context.touched.note(save.item.key)
  let { revision } = save
  if (revision === undefined) {
    // A live session will be saved again by its request; a plain object was only shown to us.
    if (!(save.session instanceof Session)) return
    revision = new Revision(save.item.key, save.text, null)
    attachRevision(save.session, revision)
  }
  revision.text = save.text
  revision.behind = storedText !== save.text
  revision.version = reply.version
  revision.expires = save.lifetime.expires
  revision.user = save.user
}
