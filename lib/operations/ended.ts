import type { SessionData } from 'express-session'
import { lifeChanged } from '../session/cookie.ts'
import { expiresOf } from '../session/expiry.ts'
import type { Revision } from '../session/revision.ts'
import type { Context } from './context.ts'

/** Has the application ended its life, rather than time? A session that this store has not read is what it is given as. */
export function isEnded(context: Context, session: SessionData, revision: Revision | undefined): boolean {
  if (revision === undefined) return true
  const base = context.codec.decode(revision.text)
  if (base === null) return true
  // As it was read it would have lived on.
  if (typeof context.settings.ttl === 'function') return context.expiry.of(base, revision.sid).left > 0
  if (lifeChanged(base.cookie, session.cookie)) return true
  // A refresh gives a date to come, so one that has passed and is not what was read was set so.
  return expiresOf(base.cookie) !== expiresOf(session.cookie)
}
