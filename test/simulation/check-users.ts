import { Keys } from '../../lib/storage/keys.ts'
import { excuseListed, excuseUntold } from './check-backing.ts'
import { TOMBSTONE_LOST, type Write, writesOf } from './check-data.ts'
import type { Case, Court } from './checks.ts'
import type { Operation } from './history.ts'
import { PREFIX, userOf } from './session.ts'
import { distrustOf } from './timeline.ts'

const KEYS = new Keys(PREFIX)
/** Milliseconds for which a session is listed that is not the user's yet. */
const GRACE = 300_000

/** A user's sessions are listed, all of them; and a sign-out everywhere ends each that began before it. */
export function judgeUsers(court: Court): void {
  const { plan, history } = court
  if (!plan.setting.hasUsers) return
  for (const operation of history.operations) {
    if (operation.listed !== undefined) judgeListing(court, operation, operation.listed)
  }
  for (const ending of history.operations) {
    if (ending.what !== 'sign out' || ending.calls === 0 || ending.error !== undefined) continue
    for (const one of court.cases.values()) judgeSignOut(court, one, ending)
  }
}

function judgeListing(court: Court, listing: Operation, sids: readonly string[]): void {
  const { plan } = court
  const user = listing.sid
  for (const one of court.cases.values()) {
    const { sid, operations } = one
    const reads = operations.filter(
      ({ what, calls, error }) => what === 'get' && calls > 0 && error === undefined,
    )
    const before = reads.findLast(({ end }) => end <= listing.start)
    // Whose clock is behind sees it live on for so long.
    const after = reads.find(({ start, skew }) => start + Math.min(skew, 0) >= listing.end)
    const [was, is] = [userOf(before?.leaves ?? {}), userOf(after?.leaves ?? {})]
    // What the backing store brings back may be seen for a while after its end.
    const isOver = plan.setting.backing !== null && endOf(one, listing.skew) <= listing.end
    if (was === user && is === user && !isOver && !sids.includes(sid)) {
      const exception = excuseListed(court, one, user, listing.end) ?? excuseUntold(court, one, listing.end)
      if (exception !== undefined) court.exceptions.push(exception)
      else if (isIndexLost(court)) court.exceptions.push("a user's index is lost by the server")
      else if (isLongAgo(one, user)) court.exceptions.push('a clock is minutes behind at a login')
      else court.violations.push(`unlisted: ${sid} lives, and is not among the sessions of ${user}`)
    }
    if (before === undefined || was === user || is === user || !sids.includes(sid)) continue
    // Reads that failed may have left out a whole login; and a login that failed may be carried out later on.
    const isBetween = operations.some(
      ({ leaves, start, end, error }) =>
        userOf(leaves ?? {}) === user && (end >= before.start || error !== undefined) && start <= listing.end,
    )
    if (!isBetween) {
      court.violations.push(`listed: ${sid} is none of the sessions of ${user}, and listed as one`)
    }
  }
}

/** Was it listed with a time by which its login cannot be on its way any more? */
function isLongAgo({ operations }: Case, user: string): boolean {
  return operations.some(({ leaves, skew }) => userOf(leaves ?? {}) === user && skew <= -GRACE)
}

/** When the latest date is over that a request has given this session: by the lister's clock, or the world's of the backing store. */
function endOf({ operations }: Case, clock: number): number {
  const changes = operations.filter(({ what }) => what === 'set' || what === 'touch')
  return Math.max(
    ...changes.map(
      ({ expires, skew }) => (expires ?? Number.POSITIVE_INFINITY) - Math.max(0, clock - skew, -skew),
    ),
  )
}

function judgeSignOut(court: Court, one: Case, ending: Operation): void {
  if (ending.except === one.sid) return
  const writes = writesOf(court, one)
  for (const read of one.operations) {
    if (read.what !== 'get' || read.start < ending.end || userOf(read.leaves ?? {}) !== ending.sid) continue
    const logins = writes.filter(({ path, value }) => path === 'user' && value === read.leaves?.user)
    if (logins.length === 0 || logins.some(login => isAfter(court, one, login, ending))) continue
    // Then nobody was signed in before a later save gave it a date to come.
    if (logins.every(wasOver) && isSavedAfter(one, read, ending)) continue
    const exception = excuseListed(court, one, ending.sid, read.end)
    if (exception !== undefined) {
      court.exceptions.push(exception)
    } else if (wasForeign(one, ending)) {
      court.exceptions.push(
        "a session that is somebody else's at a sign-out is written again by a request from before",
      )
    } else if (isIndexLost(court)) {
      court.exceptions.push("a user's index is lost by the server")
    } else if (one.timeline.tombstonesLost.length > 0) {
      court.exceptions.push(TOMBSTONE_LOST)
    } else {
      court.violations.push(
        `signed in: ${one.sid} is ${read.leaves?.user}, whom operation ${ending.number} signed out everywhere`,
      )
      return
    }
  }
}

/** May this login have come after the sign-out began? Not where it was listed by then: its own write comes last. */
function isAfter(
  { servers, database }: Court,
  { sid }: Case,
  { start, end }: Write,
  { sid: user, ...ending }: Operation,
): boolean {
  if (end < ending.start) return false
  const key = KEYS.ofUser(user)
  const indexes = servers.flatMap(server => server.changes.get(key) ?? [])
  const holds = (record: string): boolean => record.includes(`"${sid}"`)
  // Once more, where it did not hear whether it is.
  const listed = indexes.findLast(({ time, value }) => time >= start && time <= end && holds(String(value)))
  if (listed === undefined || listed.time >= ending.start) return true
  // Who does not trust memcached goes by what the backing store has by then.
  const isDistrusted = distrustOf(indexes).some(time => time >= ending.start && time <= ending.end)
  const rows = database.changes.get(`@${key}`) ?? []
  const row = rows.find(
    ({ what, asked, text }) => what === 'set' && asked >= listed.time && holds(JSON.parse(text).record),
  )
  return isDistrusted && row !== undefined && row.time >= ending.start
}

/** Had its time passed before it was saved? */
function wasOver({ operation, end }: Write): boolean {
  return operation !== undefined && operation.expires !== null && operation.expires <= end
}

function isSavedAfter({ operations }: Case, { leaves: found }: Operation, { start }: Operation): boolean {
  return operations.some(
    ({ what, leaves, end }) => what === 'set' && leaves?.user === found?.user && end >= start,
  )
}

function isIndexLost({ plan, servers }: Court): boolean {
  if (plan.setting.backing !== null) return false
  return servers.some(server =>
    [...server.changes].some(
      ([key, changes]) =>
        key.startsWith('sess:@') && changes.some(({ kind }) => kind === 'evicted' || kind === 'lost'),
    ),
  )
}

/** Was it somebody else's while the sign-out looked at it? Then it has left no tombstone. */
function wasForeign({ timeline }: Case, { sid: user, start, end }: Operation): boolean {
  const last = timeline.entries.findLast(({ kind, time }) => kind === 'written' && time <= start)
  const during = timeline.entries.filter(
    ({ kind, time }) => kind === 'written' && time > start && time <= end,
  )
  return [last, ...during].some(
    entry => entry !== undefined && !entry.isTombstone && userOf(entry.leaves) !== user,
  )
}
