import type { SessionData } from 'express-session'
import { asError } from '../errors.ts'
import { isSession } from '../session/codec.ts'
import { lifeChanged } from '../session/cookie.ts'
import type { Lifetime } from '../session/expiry.ts'
import { lookAtCookie, type Revision, revisionOf } from '../session/revision.ts'
import type { Context } from './context.ts'
import { destroy } from './destroy.ts'
import type { Done } from './done.ts'
import { Edit } from './edit.ts'
import { isEnded } from './ended.ts'

/**
 * Keeps a session alive. Nothing goes over the wire while the stored expiry lags by less than
 * `touchAfter`. Touching a missing session is no error and does not create it.
 */
export function touch(context: Context, sid: string, session: SessionData, done: Done<void>): void {
  try {
    if (!isSession(session)) throw new TypeError('Expected `session` to be an object with a `cookie`')
    const lifetime = context.expiry.of(session, sid)
    const revision = revisionOf(session, context.sessions, sid)
    // One that this store has not read is looked for first: others may have given it another date.
    const isKnown = revision !== undefined
    if (isKnown && lifetime.left <= 0 && isEnded(context, session, revision)) destroy(context, sid, done)
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
  if (revision !== undefined && !isDue(context, revision, session, lifetime)) {
    process.nextTick(done, null)
    return
  }
  const { originalMaxAge } = session.cookie
  const wish = { sid, session, content: null, lifetime, originalMaxAge, user: undefined }
  context.changes.submit(context, sid, new Edit(context, wish), done)
}

/** Does what is stored lag by too much, or has this request changed how long the session lives? */
function isDue(
  { codec, touched }: Context,
  revision: Revision,
  { cookie }: SessionData,
  { expires, slack }: Lifetime,
): boolean {
  lookAtCookie(codec, revision)
  if (revision.attempts.length > 0 || lifeChanged(revision, cookie)) return true
  if (expires === undefined && revision.expires === undefined) return !touched.within(revision.sid, slack)
  return (expires ?? Infinity) - (revision.expires ?? Infinity) >= slack
}
