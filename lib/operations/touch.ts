import type { SessionData } from 'express-session'
import { asError } from '../errors.ts'
import { OK } from '../memcached/reply.ts'
import { isSession, TOMBSTONE } from '../session/codec.ts'
import { expiresOf, type Lifetime } from '../session/expiry.ts'
import { Revision, revisionOf } from '../session/revision.ts'
import type { Context, Done } from './context.ts'
import { destroy } from './destroy.ts'
import { textIn, toItem } from './item.ts'
import { keepListed } from './users/enlist.ts'
import { knownUser } from './users/user-of.ts'

/**
 * Keeps a session alive. Nothing goes over the wire while the stored expiry lags by less than
 * `touchAfter`. Touching a missing session is no error and does not create it.
 */
export function touch(context: Context, sid: string, session: SessionData, done: Done<void>): void {
  let lifetime: Lifetime
  try {
    if (!isSession(session)) throw new TypeError('Expected `session` to be an object with a `cookie`')
    lifetime = context.expiry.of(session, sid)
  } catch (error) {
    process.nextTick(done, asError(error))
    return
  }
  const key = context.keys.of(sid)
  const revision = revisionOf(session, key)
  if (lifetime.left <= 0) destroy(context, sid, done)
  else if (revision !== undefined) refresh(context, sid, session, lifetime, revision, done)
  else if (lifetime.expires === undefined)
    touchNatively(context, sid, key, knownUser(context.settings, session), lifetime, done)
  else touchUnread(context, sid, session, key, lifetime, done)
}

/** Touches a session whose stored form is known. */
export function refresh(
  context: Context,
  sid: string,
  session: SessionData,
  lifetime: Lifetime,
  revision: Revision,
  done: Done<void>,
): void {
  if (Number.isNaN(revision.expires)) {
    revision.expires = expiresOf((context.codec.decode(revision.text) as SessionData).cookie)
  }
  const { expires } = lifetime
  const stored = revision.expires
  if (expires === undefined && stored === undefined)
    touchNatively(context, sid, revision.key, revision.user, lifetime, done)
  else if (Math.abs((expires ?? Infinity) - (stored ?? Infinity)) < lifetime.slack)
    process.nextTick(done, null)
  else if (revision.behind) touchUnread(context, sid, session, revision.key, lifetime, done)
  else rewrite(context, sid, session, lifetime, revision, done)
}

/** A cookie without a date has nothing to rewrite: memcached's own touch, now and then. */
function touchNatively(
  context: Context,
  sid: string,
  key: string,
  user: string | undefined,
  lifetime: Lifetime,
  done: Done<void>,
): void {
  const { left, slack } = lifetime
  if (context.touched.within(key, slack)) {
    process.nextTick(done, null)
    return
  }
  const { cluster, expiry, settings, touched } = context
  const home = cluster.home(key)
  home.touch(key, expiry.expiration(left + slack), (error, reply) => {
    if (reply !== null && (reply.flags & TOMBSTONE) !== 0) {
      // Destroyed meanwhile: a tombstone is not to stay as long as a session.
      home.touch(key, expiry.expiration(settings.tombstone * 1000), error => done(error))
      return
    }
    if (error === null) touched.note(key)
    if (reply?.status === OK) keepListed(context, user, sid, lifetime)
    done(error)
  })
}

/** Touches a session that this request has not read: reads it first. */
function touchUnread(
  context: Context,
  sid: string,
  session: SessionData,
  key: string,
  lifetime: Lifetime,
  done: Done<void>,
): void {
  context.cluster.home(key).get(key, (error, reply) => {
    const text = reply?.status === OK ? textIn(reply) : null
    const stored = text === null ? null : context.codec.decode(text)
    if (reply === null || text === null || stored === null) {
      done(error)
      return
    }
    const user = knownUser(context.settings, stored)
    const revision = new Revision(key, text, reply.version, user)
    rewrite(context, sid, session, lifetime, revision, done)
  })
}

/**
 * Writes what is stored with the fresh cookie. If somebody else wrote meanwhile, the session has been
 * refreshed, or is gone: either way nothing is left to do.
 */
function rewrite(
  context: Context,
  sid: string,
  session: SessionData,
  lifetime: Lifetime,
  revision: Revision,
  done: Done<void>,
): void {
  const { left, slack, expires } = lifetime
  const { key, version } = revision
  let text: string
  let item: ReturnType<typeof toItem>
  try {
    const stored = context.codec.decode(revision.text) as SessionData
    stored.cookie = session.cookie
    text = context.codec.encode(stored)
    item = toItem(context, sid, key, text)
  } catch (error) {
    process.nextTick(done, asError(error))
    return
  }
  const { value, flags } = item
  const expiration = context.expiry.expiration(left + slack)
  context.cluster.home(key).write('replace', { key, value, flags, expiration }, version, (error, reply) => {
    if (reply?.status === OK) {
      context.counts.writes++
      revision.text = text
      revision.version = reply.version
      revision.expires = expires
      keepListed(context, revision.user, sid, lifetime)
    }
    done(error)
  })
}
