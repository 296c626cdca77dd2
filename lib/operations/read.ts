import type { SessionData } from 'express-session'
import { NOT_FOUND, type Reply } from '../memcached/reply.ts'
import { TOMBSTONE } from '../session/codec.ts'
import { attachRevision, Revision } from '../session/revision.ts'
import type { Context, Done } from './context.ts'
import { textIn } from './item.ts'
import { knownUser } from './users/user-of.ts'

/** Reads a session: one round trip. Null where there is none, it is over, or it was logged out. */
export function read(context: Context, sid: string, done: Done<SessionData | null>): void {
  context.counts.reads++
  const key = context.keys.of(sid)
  context.lanes.read(sid, done, answer => {
    context.cluster.home(key).get(key, (error, reply) => {
      if (error !== null) answer(error)
      else answer(null, sessionIn(context, sid, key, reply as Reply))
    })
  })
}

/** The session in a reply, with its revision; null where there is none to be seen. */
export function sessionIn(context: Context, sid: string, key: string, reply: Reply): SessionData | null {
  if (reply.status === NOT_FOUND || (reply.flags & TOMBSTONE) !== 0) return null
  const text = textIn(reply)
  const session = text === null ? null : context.codec.decode(text)
  const state = session === null ? 'invalid' : context.expiry.judge(session)
  if (text === null || session === null || state === 'invalid') {
    context.counts.corrupt++
    context.emit('corrupt', sid)
    return null
  }
  if (state === 'over') return null
  const user = knownUser(context.settings, session)
  attachRevision(session, new Revision(key, text, reply.version, user))
  return session
}
