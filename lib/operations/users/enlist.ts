import type { Lifetime } from '../../session/expiry.ts'
import { isListed, list, type UserIndex } from '../../session/user-index.ts'
import type { Context } from '../context.ts'
import { isCrowded, review } from './review.ts'
import { changeIndex, type IndexChange } from './user-index.ts'

/** Milliseconds after which the entry of a session in use is looked after again, at the latest. */
const LONGEST_SPAN = 300_000

/** Where a session was seen to be listed. */
export interface Listing {
  readonly user: string
  /** Milliseconds of Unix time until which that index is kept. */
  readonly until: number
}

/**
 * Lists a session as this user's, before it is written: so no session of a user is alive and not listed.
 * Writes in any case, so that nobody drops the entry who has read the index before. Gives the entry's
 * `at`, by which a sign-out tells a login that came before it from one that came after.
 */
export async function enlist(
  context: Context,
  user: string,
  sid: string,
  lifetime: Lifetime,
): Promise<number> {
  const index = await change(context, user, found => list(found, sid, wanted(lifetime, 2)))
  context.listed.note(sid, { user, until: index.until })
  return index.entries.find(entry => entry.sid === sid)?.at as number
}

/**
 * Keeps the index true for a session that lives on: makes it outlive the session, and lists the session
 * again should memcached have evicted the index. One read now and then, and where the session is to outlive
 * what is known of the index; a write in half a session's life. Goes on beside the request, whose own work
 * it is not: a later one makes up for a failure.
 */
export function keepListed(
  context: Context,
  user: string | undefined,
  sid: string,
  lifetime: Lifetime,
): void {
  if (user === undefined) return
  const end = wanted(lifetime, 1)
  const known = context.listed.find(sid, Math.min(lifetime.left / 100, LONGEST_SPAN))
  if (known?.user === user && known.until >= end) return
  context.listed.note(sid, { user, until: end })
  change(context, user, found => {
    if (!isListed(found, sid)) return list(found, sid, wanted(lifetime, 2))
    return found.until >= wanted(lifetime, 1.5) ? found : { ...found, until: wanted(lifetime, 2) }
  }).then(
    ({ until }) => context.listed.note(sid, { user, until }),
    () => context.listed.forget(sid),
  )
}

/** Until when an index is to be kept: for more than one life of the session, so that it is seldom written. */
function wanted({ left, slack }: Lifetime, lives: number): number {
  return Math.min(Math.ceil(Date.now() + left * lives + slack), Number.MAX_SAFE_INTEGER)
}

async function change(context: Context, user: string, apply: IndexChange): Promise<UserIndex> {
  const index = await changeIndex(context, user, apply)
  if (isCrowded(context, index) && !context.reviews.has(user)) {
    context.reviews.add(user)
    const end = (): unknown => context.reviews.delete(user)
    // Beside the request too.
    review(context, user).then(end, end)
  }
  return index
}
