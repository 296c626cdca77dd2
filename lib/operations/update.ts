import type { SessionData } from 'express-session'
import { MemcachedStoreError } from '../errors.ts'
import { OK, type Reply } from '../memcached/reply.ts'
import { pause } from '../pause.ts'
import { isSession } from '../session/codec.ts'
import type { Lifetime } from '../session/expiry.ts'
import { revisionOf } from '../session/revision.ts'
import type { Context } from './context.ts'
import { bury } from './destroy.ts'
import { replied, toItem } from './item.ts'
import { sessionIn } from './read.ts'
import { enlist, keepListed } from './users/enlist.ts'
import { userOf } from './users/user-of.ts'

/** Changes a session in place, or returns another one. */
export type Change = (session: SessionData) => SessionData | void | Promise<SessionData | void>

const MOST_ATTEMPTS = 100
/** Milliseconds; the wait before another attempt is a random part of this at most. */
const LONGEST_PAUSE = 50

/**
 * Reads, changes and writes until nothing came in between. In this process updates of one session
 * take turns; others are met by the condition on the write.
 */
export async function update(context: Context, sid: string, change: Change): Promise<SessionData | null> {
  const key = context.keys.of(sid)
  await context.lanes.enter(sid)
  try {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      if (attempt > 0) {
        context.counts.retries++
        await pause(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE))
      }
      const current = await replied(done => context.cluster.home(key).get(key, done))
      const session = sessionIn(context, sid, key, current)
      if (session === null) return null
      const before = revisionOf(session, key)?.user
      const changed = (await change(session)) ?? session
      if (!isSession(changed))
        throw new TypeError('Expected the update to leave a session, with its `cookie`')
      const lifetime = context.expiry.of(changed, sid)
      if (lifetime.left <= 0) {
        await new Promise<void>((resolve, reject) =>
          bury(context, key, error => (error ? reject(error) : resolve())),
        )
        return null
      }
      const user = userOf(context.settings, changed)
      if (user !== undefined && user !== before) await enlist(context, user, sid, lifetime)
      const reply = await put(context, sid, key, changed, lifetime, current)
      if (reply.status === OK) {
        context.counts.writes++
        keepListed(context, user, sid, lifetime)
        return changed
      }
    }
  } finally {
    context.lanes.leave(sid)
  }
  throw new MemcachedStoreError('ERR_CONFLICT', 'Too many overlapping updates of one session: try again')
}

function put(
  context: Context,
  sid: string,
  key: string,
  session: SessionData,
  { left, slack }: Lifetime,
  current: Reply,
): Promise<Reply> {
  const { expiry, codec, cluster } = context
  const { value, flags } = toItem(context, sid, key, codec.encode(session))
  const expiration = expiry.expiration(left + slack)
  return replied(done =>
    cluster.home(key).write('replace', { key, value, flags, expiration }, current.version, done),
  )
}
