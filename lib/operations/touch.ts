import type { SessionData } from 'express-session'
import { asError } from '../errors.ts'
import { isSession } from '../session/codec.ts'
import { lifeChanged } from '../session/cookie.ts'
import { expiresOf, type Lifetime } from '../session/expiry.ts'
import { type Revision, revisionOf } from '../session/revision.ts'
import type { Context, Done } from './context.ts'
import { destroy } from './destroy.ts'
import { Edit } from './edit.ts'
import { isEnded } from './save.ts'
import { keepListed } from './users/enlist.ts'
import { knownUser } from './users/user-of.ts'

/**
 * Keeps a session alive. Nothing goes over the wire while the stored expiry lags by less than
 * `touchAfter`. Touching a missing session is no error and does not create it.
 */
export function touch(context: Context, sid: string, session: SessionData, done: Done<void>): void {
  try {
    if (!isSession(session)) throw new TypeError('Expected `session` to be an object with a `cookie`')
    const lifetime = context.expiry.of(session, sid)
    const revision = revisionOf(session, context.sessions, sid)
    if (lifetime.left <= 0 && isEnded(context, session, revision)) destroy(context, sid, done)
    else refresh(context, sid, session, lifetime, done)
  } catch (error) {
    process.nextTick(done, asError(error))
  }
}

/** Touches a session as far as it needs that. */
export function refresh(
  context: Context,
  sid: string,
  session: SessionData,
  lifetime: Lifetime,
  done: Done<void>,
): void {
  const revision = revisionOf(session, context.sessions, sid)
  if (revision !== undefined) lookAtCookie(context, revision)
  const isUndated = lifetime.expires === undefined
  if (isUndated && (revision === undefined || revision.expires === undefined)) {
    touchNatively(context, sid, session, lifetime, done)
  } else if (revision !== undefined && !isDue(revision, session, lifetime)) {
    process.nextTick(done, null)
  } else {
    const wish = { sid, session, text: null, lifetime, user: undefined }
    context.changes.submit(context, sid, new Edit(context, wish), done)
  }
}

/** What was read is looked at only once that matters; express-session's own sessions bring it along. */
function lookAtCookie(context: Context, revision: Revision): void {
  if (!Number.isNaN(revision.expires)) return
  const stored = context.codec.decode(revision.record.text)
  revision.expires = stored === null ? undefined : expiresOf(stored.cookie)
  revision.originalMaxAge = stored?.cookie.originalMaxAge
}

/** Does what is stored lag by too much, or has this request changed how long the session lives? */
function isDue(revision: Revision, { cookie }: SessionData, { expires, slack }: Lifetime): boolean {
  const lag = (expires ?? Infinity) - (revision.expires ?? Infinity)
  return lag >= slack || lifeChanged(revision, cookie)
}

/** A cookie without a date has nothing to rewrite: memcached's own touch, now and then. */
function touchNatively(
  context: Context,
  sid: string,
  session: SessionData,
  { left, slack, expires }: Lifetime,
  done: Done<void>,
): void {
  const { touched, sessions, settings } = context
  const revision = revisionOf(session, sessions, sid)
  const user = revision === undefined ? knownUser(settings, session) : revision.user
  if (touched.within(sid, slack)) {
    process.nextTick(done, null)
    return
  }
  sessions.prolong(sid, left + slack, (error, found) => {
    if (error === null) touched.note(sid)
    if (found) keepListed(context, user, sid, { left, slack, expires })
    done(error)
  })
}
