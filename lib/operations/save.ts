import type { SessionData } from 'express-session'
import { asError } from '../errors.ts'
import { isSession, isUnmodified } from '../session/codec.ts'
import type { Lifetime } from '../session/expiry.ts'
import { type Revision, revisionOf } from '../session/revision.ts'
import { kept, lent } from '../storage/kept-text.ts'
import { checkId } from '../storage/session-id.ts'
import { userOf } from '../users/user-of.ts'
import type { Context } from './context.ts'
import { destroy } from './destroy.ts'
import type { Done } from './done.ts'
import { Edit, isLive } from './edit.ts'
import { isEnded } from './ended.ts'
import { refresh } from './touch.ts'

/**
 * Saves a session: one round trip, on the condition that nothing changed since it was read, with no
 * extra copy or parse unless something did. A session that is unmodified is only touched; one whose
 * life the application has ended is destroyed.
 */
export function save(context: Context, sid: string, session: SessionData, done: Done<void>): void {
  try {
    start(context, sid, session, done)
  } catch (error) {
    process.nextTick(done, asError(error))
  }
}

/** Everything that can fail before the network fails here. */
function start(context: Context, sid: string, session: SessionData, done: Done<void>): void {
  checkId(sid)
  if (!isSession(session)) {
    throw new TypeError('Expected `session` to be an object with a `cookie`, as express-session makes them')
  }
  const lifetime = context.expiry.of(session, sid)
  const revision = revisionOf(session, context.sessions, sid)
  if (lifetime.left <= 0 && isEnded(context, session, revision)) {
    destroy(context, sid, done)
    return
  }
  const text = context.codec.encode(session)
  context.sessions.check(sid, text)
  if (revision !== undefined && knowsNoOther(revision, text)) {
    refresh(context, sid, session, lifetime, keepingListed(context, revision, lifetime, done))
    return
  }
  const user = userOf(context.settings, session)
  const { originalMaxAge } = session.cookie
  // A plain object was only shown to us: once it is written nobody asks for its text.
  const content = revision === undefined && !isLive(session) ? lent(text) : kept(text)
  context.changes.submit(
    context,
    sid,
    new Edit(context, { sid, session, content, lifetime, originalMaxAge, user }),
    done,
  )
}

/** Its user's index is refreshed, too. */
function keepingListed(
  { users }: Context,
  { sid, user }: Revision,
  lifetime: Lifetime,
  done: Done<void>,
): Done<void> {
  if (users === undefined) return done
  return error => {
    if (error === null) users.keepListed(user, sid, lifetime)
    done(error)
  }
}

/** Is this data all that the request has read, and may have stored since? */
function knowsNoOther({ text, attempts }: Revision, mine: string): boolean {
  return isUnmodified(text, mine) && attempts.every(attempt => isUnmodified(attempt.text, mine))
}
