import type { SessionData } from 'express-session'
import { OK, type Reply } from '../memcached/node.ts'
import { isSession } from '../session/codec.ts'
import { expiresOf } from '../session/expiry.ts'
import { Revision, revisionOf } from '../session/revision.ts'
import type { Context, Done } from './context.ts'
import { destroy } from './destroy.ts'
import { textIn, toItem } from './item.ts'

/**
 * Keeps a session alive. Nothing goes over the wire while the stored expiry lags by less than
 * `touchAfter`. Touching a missing session is no error and does not create it.
 */
export function touch(context: Context, sid: string, session: SessionData, done: Done<void>): void {
  let life: number
  try {
    if (!isSession(session)) throw new TypeError('Expected `session` to be an object with a `cookie`')
    life = context.expiry.life(session, sid)
  } catch (error) {
    process.nextTick(done, error)
    return
  }
  if (life <= 0) {
    destroy(context, sid, done)
    return
  }
  const key = context.keys.of(sid)
  const revision = revisionOf(session, key)
  if (revision !== undefined) refresh(context, sid, session, revision, done)
  else if (expiresOf(session.cookie) === undefined) touchNatively(context, sid, session, key, done)
  else touchUnread(context, sid, session, key, done)
}

/** Touches a session whose stored form is known. */
export function refresh(
  context: Context,
  sid: string,
  session: SessionData,
  revision: Revision,
  done: Done<void>,
): void {
  const { expiry } = context
  const expires = expiresOf(session.cookie)
  if (Number.isNaN(revision.expires)) {
    revision.expires = expiresOf((context.codec.decode(revision.text) as SessionData).cookie)
  }
  if (expires === undefined && revision.expires === undefined) {
    touchNatively(context, sid, session, revision.key, done)
    return
  }
  const lag = Math.abs((expires ?? Infinity) - (revision.expires ?? Infinity))
  if (lag < expiry.slack(session, expiry.life(session, sid))) process.nextTick(done, null)
  else if (revision.behind) touchUnread(context, sid, session, revision.key, done)
  else rewrite(context, sid, session, revision, done)
}

/** A cookie without a date has nothing to rewrite: memcached's own touch, now and then. */
function touchNatively(
  context: Context,
  sid: string,
  session: SessionData,
  key: string,
  done: Done<void>,
): void {
  const { expiry, touched } = context
  const life = expiry.life(session, sid)
  const slack = expiry.slack(session, life)
  if (touched.within(key, slack)) {
    process.nextTick(done, null)
    return
  }
  context.cluster.home(key).touch(key, expiry.expiration(life + slack), error => {
    if (error === null) touched.note(key)
    done(error)
  })
}

/** Touches a session that this request has not read: reads it first. */
function touchUnread(
  context: Context,
  sid: string,
  session: SessionData,
  key: string,
  done: Done<void>,
): void {
  context.cluster.home(key).get(key, (error, reply) => {
    const text = error === null && (reply as Reply).status === OK ? textIn(reply as Reply) : null
    if (text === null || context.codec.decode(text) === null) {
      done(error)
      return
    }
    const { casHigh, casLow } = reply as Reply
    rewrite(context, sid, session, new Revision(key, text, casHigh, casLow), done)
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
  revision: Revision,
  done: Done<void>,
): void {
  const { key, casHigh, casLow } = revision
  let expiration: number
  let text: string
  let item: ReturnType<typeof toItem>
  try {
    const life = context.expiry.life(session, sid)
    expiration = context.expiry.expiration(life + context.expiry.slack(session, life))
    const stored = context.codec.decode(revision.text) as SessionData
    stored.cookie = session.cookie
    text = context.codec.encode(stored)
    item = toItem(context, sid, key, text)
  } catch (error) {
    process.nextTick(done, error)
    return
  }
  const expires = expiresOf(session.cookie)
  const { value, flags } = item
  context.cluster
    .home(key)
    .write('replace', key, value, flags, expiration, casHigh, casLow, (error, reply) => {
      if (reply?.status === OK) {
        revision.text = text
        revision.casHigh = reply.casHigh
        revision.casLow = reply.casLow
        revision.expires = expires
      }
      done(error)
    })
}
