import type { RowChange } from './backing.ts'
import type { Case, Court } from './checks.ts'
import type { Operation } from './history.ts'
import { type BackingSetting, slackOf } from './plan.ts'
import { PATHS, PREFIX, userOf } from './session.ts'
import { distrustOf } from './timeline.ts'

/** Of its usual latency, what one call may take. */
const MAX_LATENCIES = 70

/** A read fails only where neither side could have served it. */
export function judgeFailures({ plan, history, database, violations }: Court): void {
  const { latency, timeout } = plan.setting.backing as BackingSetting
  // Then it is slow enough by itself.
  if (timeout < MAX_LATENCIES * latency) return
  for (const { what, sid, start, end, error, number } of history.operations) {
    if (what !== 'get' || error === undefined) continue
    if (database.troubles.some(({ from, to }) => from <= end && to >= start)) continue
    violations.push(`failed: operation ${number}, get ${sid}, although the backing store was well: ${error}`)
  }
}

/** Milliseconds after which a process has paid what it owes memcached, once that is back. */
const PAID = 3000

/** Milliseconds after an outage for which a process goes by the backing store, whatever memcached has. */
const SUSPECTED = 5000

/** Of memcached's latency, what a look takes at most. */
const LOOK = 50

/** What befell a session, or something else that lies in both. */
interface Fate {
  readonly operations: readonly Operation[]
  /** When memcached lost it. */
  readonly losses: readonly number[]
  /** When somebody did not trust what memcached had of it. */
  readonly distrusted: readonly number[]
  /** What the backing store had of it. */
  readonly rows: readonly RowChange[]
}

/** The exception by which what a session shows is no violation. */
export function excuseBacked(court: Court, one: Case, until: number): string | undefined {
  const { operations, timeline, sid } = one
  const rows = court.database.changes.get(sid) ?? []
  return excuse(court, { operations, losses: timeline.losses, distrusted: timeline.distrusted, rows }, until)
}

/**
 * The same for a session that is listed wrongly: of the index, which is of all sessions of its user. What befalls
 * one of them may befall it.
 */
export function excuseListed(court: Court, one: Case, user: string, until: number): string | undefined {
  const { history, servers, database } = court
  const sids = new Set(
    history.operations.filter(by => userOf(by.leaves ?? {}) === user).map(({ sid }) => sid),
  )
  const isOurs = (id: string): boolean => id === one.sid || id.startsWith('@')
  const changes = servers.flatMap(server =>
    [...server.changes].filter(([key]) => isOurs(key.slice(PREFIX.length))).map(([, those]) => those),
  )
  const lost = changes.flat().filter(({ kind }) => kind === 'evicted' || kind === 'lost')
  const fate = {
    operations: history.operations.filter(({ sid }) => sid === user || sids.has(sid)),
    losses: lost.map(({ time }) => time),
    distrusted: changes.flatMap(distrustOf),
    rows: [...database.changes].filter(([id]) => isOurs(id)).flatMap(([, those]) => those),
  }
  return excuse(court, fate, until) ?? excuseUnkept(court, one, fate)
}

/** An index is kept beside the requests of its sessions; one that fails there is made up for by the next. */
function excuseUnkept({ database }: Court, { operations }: Case, { losses }: Fate): string | undefined {
  const isUnkept = database.troubles.some(
    ({ from, to }) =>
      losses.some(loss => loss >= from && loss <= to) &&
      operations.some(({ what, start, end }) => what !== 'get' && start <= to && end >= from),
  )
  return isUnkept
    ? "a user's index is lost with memcached, and the backing store away when it is due"
    : undefined
}

function excuse(
  { plan, history, servers, database }: Court,
  { operations, losses, distrusted, rows }: Fate,
  until: number,
): string | undefined {
  const { backing } = plan.setting
  if (backing === null) return undefined
  const gone = outages(history)
  const areBothUnwell = database.troubles.some(trouble =>
    gone.some(({ from, to }) => from <= until && from <= trouble.to && to + PAID >= trouble.from),
  )
  if (areBothUnwell) return 'memcached and the backing store are in trouble at once'
  for (const { process, server, from, to } of gone) {
    const end = to + PAID + 2 * backing.timeout
    const alone = operations.filter(
      ({ process: by, what, start, end: over }) =>
        by === process && what !== 'get' && start <= Math.min(to, until) && over >= from,
    )
    // Who could not reach it either does not go by it afterwards. But what overlaps meanwhile is not merged.
    const isAware = (other: number, since: number): boolean =>
      gone.some(
        outage =>
          outage.process === other && outage.server === server && outage.from <= since && outage.to >= from,
      )
    const isDivided = operations.some(
      ({ process: by, start, end: over }) =>
        by >= 0 &&
        by !== process &&
        start <= end &&
        over >= from &&
        (!isAware(by, over) || alone.some(own => own.start <= over && own.end >= start)),
    )
    const isUndermined = rows.some(
      ({ process: by, asked, time }) => by !== process && asked <= end && time >= from && !isAware(by, asked),
    )
    if (alone.length > 0 && (isDivided || isUndermined))
      return 'one process cannot reach memcached, and another goes by what is there'
  }
  const late = rows.filter(({ asked, answered, time }) => answered - asked > backing.timeout && time <= until)
  const isForgotten = late.some(({ asked, answered, time }) => {
    const settled = answered + PAID + backing.timeout
    return (
      time - asked > plan.setting.tombstone * 1000 ||
      losses.some(loss => loss >= asked && loss <= settled) ||
      gone.some(({ from, to }) => from <= settled && to + SUSPECTED >= asked)
    )
  })
  if (isForgotten) {
    return 'a write of the backing store is carried out after its deadline, and memcached cannot tell'
  }
  const changes = operations.filter(({ what }) => what !== 'get')
  if (changes.some(failed => isEndedAlone(failed, changes))) {
    return 'a failed save has ended a session in memcached alone, and another comes after that end'
  }
  const missed = [...losses, ...gone.map(outage => outage.from)]
  const isLeftBehind = database.troubles.some(
    ({ from, to }) =>
      missed.some(time => time >= from && time <= Math.min(to + PAID, until)) &&
      changes.some(
        change =>
          change.start <= to &&
          change.end >= from &&
          changes.some(other => other !== change && other.start <= change.end && other.end >= change.start),
      ),
  )
  if (isLeftBehind) {
    return 'the backing store fails overlapping changes, and memcached is away or loses the session before it is told again'
  }
  const isTelling = (teller: number, at: number): boolean =>
    rows.some(({ process, asked, time }) => process === teller && asked <= at && time >= at)
  const isLeftInTheMiddle = gone.some(
    ({ process, from }) =>
      from <= until &&
      changes.some(
        left =>
          (left.process === process || isTelling(left.process, from)) &&
          left.start <= from &&
          left.end >= from &&
          changes.some(other => other !== left && other.end >= left.start && other.start <= until),
      ),
  )
  if (isLeftInTheMiddle) return 'memcached goes away while a change is on its way, and others change it'
  // One that has lost its connection, or whose server is away, is told what the backing store has.
  const liesOn = (name: string, sid: string): boolean =>
    servers.some(server => server.name === name && server.changes.has(PREFIX + sid))
  const isReadBehind = operations.some(
    ({ what, process, sid, start, end }) =>
      what === 'get' &&
      end === until &&
      (history.doubts.some(doubt => doubt.process === process && doubt.time >= start && doubt.time <= end) ||
        gone.some(
          ({ process: by, server, from, to }) =>
            by === process && from <= end && to >= start && liesOn(server, sid),
        )) &&
      changes.some(
        left =>
          left.start <= end &&
          left.end >= start &&
          changes.some(other => other !== left && other.start <= left.end && other.end >= left.start),
      ),
  )
  if (isReadBehind) return 'a read that cannot reach memcached meets overlapping changes on their way'
  // One that came after its deadline is made up for later on.
  const settling = ({ asked, time }: RowChange): number =>
    LOOK * plan.setting.latency + (time - asked > backing.timeout / 2 ? PAID + backing.timeout : 0)
  // Who has told it looks when it has answered.
  const lookedAt = (row: RowChange): number =>
    (Number.isFinite(row.answered) ? row.answered : row.time) + settling(row)
  const isOnItsWay = (row: RowChange, time: number): boolean =>
    row.what !== 'destroy' && row.asked <= time && lookedAt(row) >= time
  const isLostInTheMiddle = losses.some(
    time =>
      time <= until &&
      (changes.some(({ what, start, end }) => what !== 'destroy' && start <= time && end >= time) ||
        rows.some(row => isOnItsWay(row, time))),
  )
  if (isLostInTheMiddle) return 'memcached loses a session while a change of it is on its way'
  const isReplaced = distrusted.some(time => {
    const writers = rows.filter(row => time <= until && isOnItsWay(row, time)).map(({ process }) => process)
    return new Set(writers).size > 1
  })
  return isReplaced
    ? 'a read after an outage replaces what memcached has, while two processes store a session'
    : undefined
}

/** Did it give a shorter life, of which the backing store was not told, and that was over when a later change was done? */
function isEndedAlone(
  { error, leaves, known, expires, end }: Operation,
  changes: readonly Operation[],
): boolean {
  const isShorter = Number(leaves?.life ?? Infinity) < Number(known?.base.life ?? Infinity)
  return (
    error !== undefined &&
    isShorter &&
    expires !== null &&
    changes.some(later => later.error === undefined && later.start >= end && later.end >= expires)
  )
}

/** Milliseconds of a life that leave room for an item's whole second, where it is not known when it began. */
const SHORT = 3000

/** The exceptions for a refresh, of which the backing store keeps no more than until when it keeps the session. */
export function excuseTouch(
  { database, plan }: Court,
  { sid, timeline, operations }: Case,
  { number, leaves, known, start, end }: Operation,
  until: number,
): string | undefined {
  if (!PATHS.every(path => leaves?.[path] === known?.base[path])) return undefined
  // Or of the one before it, which it goes by as long as that is late by so little.
  const { touchAfter, ttl } = plan.setting
  const life = Number(leaves?.life ?? ttl * 1000)
  const slack = slackOf(touchAfter, life)
  const isLate = (database.changes.get(sid) ?? []).some(
    ({ asked, time }) => asked >= start - slack && asked <= end && time > end,
  )
  if (isLate || database.troubles.some(({ from, to }) => from <= end && to >= start - slack))
    return 'the backing store cannot be told of a refresh'
  if (life < SHORT && timeline.losses.some(loss => loss <= until))
    return 'memcached loses a session of less than three seconds'
  // It may go by what was read before that.
  const since = Math.min(start, known?.readAt ?? start)
  const isGuessed = timeline.losses.some(
    loss =>
      loss >= since &&
      loss <= until &&
      operations.some(
        other => other.what !== 'get' && other.number !== number && other.start >= since && other.end >= loss,
      ),
  )
  return isGuessed
    ? 'the date of a refresh is lost with memcached, and a later change stores a guess'
    : undefined
}

/**
 * The exception for a session that memcached shows although a save of it failed, since the backing store could
 * not be told: nobody was promised it.
 */
export function excuseUntold({ plan }: Court, { operations }: Case, until: number): string | undefined {
  if (plan.setting.backing === null) return undefined
  const isUntold = operations.some(
    ({ what, error, start }) => what !== 'get' && error !== undefined && start <= until,
  )
  return isUntold ? 'what a failed save has left in memcached alone goes with it' : undefined
}

/** One server that one process could not reach. */
interface Outage {
  readonly process: number
  readonly server: string
  readonly from: number
  readonly to: number
}

function outages({ away }: Court['history']): Outage[] {
  return away
    .filter(({ isUp }) => !isUp)
    .map(({ process, server, time }) => {
      const back = away.find(
        other => other.isUp && other.process === process && other.server === server && other.time >= time,
      )
      return { process, server, from: time, to: back?.time ?? Number.POSITIVE_INFINITY }
    })
}
