import { excuseBacked, excuseTouch, excuseUntold } from './check-backing.ts'
import { bringsLife, excuse, objection, TOMBSTONE_LOST, type Write, writesOf } from './check-data.ts'
import type { Case, Court } from './checks.ts'
import type { Operation } from './history.ts'
import { slackOf } from './plan.ts'
import { PATHS } from './session.ts'

/** A session lives for as long as its visitor was promised, and not much longer; and once destroyed never again. */
export function judgeLife(court: Court, one: Case): void {
  const writes = writesOf(court, one)
  for (const read of one.operations) {
    // An update that finds nothing is a read, too.
    const isRead = read.what === 'get' || (read.what === 'update' && read.leaves === null)
    if (!isRead || read.error !== undefined || read.calls === 0) continue
    if (read.leaves === null) judgeMissing(court, one, read)
    else judgeFound(court, one, writes, read)
  }
}

/** `exclusive` says that the session has ended only where it has. */
export function judgeRefusals(court: Court): void {
  const { plan, history, cases, violations, exceptions } = court
  if (plan.setting.onConflict === 'reject') return
  for (const { sid, start, end, error } of history.refusals) {
    const one = cases.get(sid)
    if ((error as { code?: string }).code !== 'ERR_CONFLICT' || one === undefined) continue
    const isLockLost = history.conflicts.some(
      conflict =>
        conflict.outcome === 'lease-lost' &&
        conflict.sid === sid &&
        conflict.time >= start &&
        conflict.time <= end,
    )
    if (isLockLost) continue
    const isEnded = one.endings.some(ending => ending.start <= end)
    if (isEnded || one.timeline.isInterrupted(0, end)) continue
    const exception = excuseBacked(court, one, end) ?? excuseUntold(court, one, end)
    if (exception !== undefined) {
      exceptions.push(exception)
      continue
    }
    violations.push(`refused: ${sid} has not ended, between ${Math.round(start)} and ${Math.round(end)}`)
  }
}

function judgeMissing(court: Court, one: Case, read: Operation): void {
  const { plan, violations, jumps } = court
  const { sid, timeline, operations, endings } = one
  if (endings.some(ending => ending.start <= read.end)) return
  for (const promise of operations) {
    if (promise.what !== 'set' && promise.what !== 'touch') continue
    if (promise.calls === 0 || promise.error !== undefined || promise.end > read.start) continue
    const expires = expiresOf(plan.setting.ttl, promise)
    // A date is over earlier by a clock that is further ahead, of who reads it or has written what lies there; a backing
    // store, which gives each a date, goes by the world's.
    const writers = operations.filter(({ what, start }) => what !== 'get' && start <= read.end)
    const clocks = [
      ...(promise.expires === null ? [] : [read, ...writers].map(({ skew }) => skew)),
      ...(plan.setting.backing === null ? [] : [0]),
    ]
    // Of what has no date each who writes it tells the backing store an end, by his own clock.
    const tellers = plan.setting.backing !== null && promise.expires === null ? writers : []
    const behind = Math.min(...[promise, ...tellers].map(({ skew }) => skew))
    const ahead = Math.max(0, ...clocks.map(clock => clock - behind))
    // Somebody may have renewed it while the answer was on its way.
    const by = timeline.isOver(read.start, read.end) ? read.end : read.start
    const left = expires - ahead - by
    if (left <= jumps) continue
    const { readAt } = promise.known as { readAt: number }
    if (timeline.accidents.some(time => time >= readAt && time <= read.end)) continue
    if (timeline.isOver(readAt, promise.end)) continue
    if (operations.some(other => isShortened(plan.setting.ttl, one, other, promise, readAt, read, expires)))
      continue
    if (isEmpty(one, promise)) continue
    if (promise.what === 'touch' && timeline.entries.every(({ time }) => time > promise.end)) continue
    const exception =
      excuseBacked(court, one, read.end) ??
      excuseTouch(court, one, promise, read.end) ??
      excuseUntold(court, one, read.end)
    if (exception !== undefined) {
      court.exceptions.push(exception)
      continue
    }
    violations.push(
      `lost: ${sid} is not there, ${Math.round(left)} ms before the time ` +
        `that operation ${promise.number} (${promise.what}) promised`,
    )
    return
  }
}

/** A save of what was read, its date and all, promises no more than was promised before. */
function isEmpty({ operations }: Case, { what, leaves, known, expires }: Operation): boolean {
  const read = operations.find(({ number }) => number === known?.reading)
  return (
    what === 'set' && read?.expires === expires && PATHS.every(path => read.leaves?.[path] === leaves?.[path])
  )
}

function isShortened(
  ttl: number,
  one: Case,
  other: Operation,
  promise: Operation,
  readAt: number,
  read: Operation,
  expires: number,
): boolean {
  return (
    (other.what === 'set' || other.what === 'touch') &&
    // One that failed may be carried out later on.
    (other.error !== undefined || other.end >= readAt) &&
    other.start <= read.end &&
    (other.leaves?.life !== other.known?.base.life || bringsLife(one, other, other.end)) &&
    // A longer one keeps the date that the shorter one promised, unless it is over when it is stored. It may be earlier
    // by as much as clocks differ: the shorter one's may be of another.
    (!(Number(other.leaves?.life) > Number(promise.leaves?.life)) ||
      expiresOf(ttl, other) <= other.end ||
      expires - expiresOf(ttl, other) < spreadOf(one)) &&
    other !== promise &&
    (expiresOf(ttl, other) < expires || expiresOf(ttl, other) + other.skew < expires + promise.skew)
  )
}

/** Milliseconds by which the clocks of its processes differ. */
function spreadOf({ operations }: Case): number {
  const skews = operations.map(({ skew }) => skew)
  return Math.max(...skews) - Math.min(...skews)
}

function judgeFound(court: Court, one: Case, writes: readonly Write[], read: Operation): void {
  const { violations, exceptions } = court
  const { sid, timeline, endings } = one
  const ending = endings.find(
    ({ what, end, error, calls }) =>
      what === 'destroy' && calls > 0 && error === undefined && end <= read.start,
  )
  if (ending !== undefined) {
    const told = `revived: ${sid} was destroyed by operation ${ending.number}, and is there again`
    if (timeline.tombstonesLost.some(time => time >= ending.start && time <= read.end)) {
      exceptions.push(TOMBSTONE_LOST)
    } else if (isLate(one, ending)) {
      exceptions.push('an unconditional write is carried out after its request gave up')
    } else {
      const exception = excuseBacked(court, one, read.end)
      if (exception === undefined) violations.push(told)
      else exceptions.push(exception)
    }
    return
  }
  const latest = latestEnd(court, one, writes, read)
  if (read.start > latest) {
    violations.push(`outlived: ${sid} is there ${Math.round(read.start - latest)} ms after its time`)
  }
}

/** Was it stored by a request that had given up before? Only a frozen server does that. */
function isLate({ timeline, operations }: Case, ending: Operation): boolean {
  const revival = timeline.entries.find(
    ({ kind, isTombstone, time }) => kind === 'written' && !isTombstone && time >= ending.start,
  )
  if (revival === undefined || revival.mode !== 'set') return false
  return operations.some(
    ({ what, error, end }) => what === 'set' && error !== undefined && end < revival.time,
  )
}

/** The latest time at which this session may still be read. */
function latestEnd(court: Court, one: Case, writes: readonly Write[], read: Operation): number {
  const { plan, tolerance } = court
  const { setting } = plan
  let latest = Number.NEGATIVE_INFINITY
  for (const operation of one.operations) {
    if ((operation.what !== 'set' && operation.what !== 'touch') || operation.start > read.end) continue
    const life = operation.leaves?.life
    // Somebody has set another life since. A longer one keeps the date that the shorter one promised.
    const isLonger = Number(read.leaves?.life ?? Infinity) > Number(life ?? Infinity)
    const isStale = !isLonger && objection(one, writes, 'life', life, read) !== undefined
    if (isStale && excuse(court, one, writes, 'life', life, read.end) === undefined) continue
    const slack = slackOf(setting.touchAfter, (life as number | undefined) ?? setting.ttl * 1000)
    if (operation.expires !== null)
      latest = Math.max(latest, operation.expires + slack + 1000 + 2 * tolerance)
  }
  // What was asked of the backing store in time may come later, and lie in memcached for a while.
  const late = setting.backing === null ? 0 : 3000 + 70 * setting.backing.latency
  // What it does not know the end of the store gives a whole life, once somebody writes it.
  const isUnsure =
    setting.backing !== null &&
    one.operations.some(
      ({ what, known, end }) =>
        what === 'update' ||
        (what === 'set' &&
          one.timeline.losses.some(loss => loss >= (known?.readAt ?? 0) && loss <= Math.min(end, read.end))),
    )
  if (setting.maxAge !== null && !isUnsure) return latest + late
  const life = setting.ttl * 1000
  const slack = slackOf(setting.touchAfter, life)
  // Only whole seconds can be had.
  const whole = Math.ceil((life + slack) / 1000) * 1000 + 1000
  for (const { time, kind, isTombstone } of one.timeline.entries) {
    if (time > read.end || isTombstone || (kind !== 'written' && kind !== 'touched')) continue
    latest = Math.max(latest, time + whole)
  }
  for (const { until } of court.database.changes.get(one.sid) ?? []) latest = Math.max(latest, until + late)
  return latest
}

function expiresOf(ttl: number, { expires, start }: Operation): number {
  return expires ?? start + ttl * 1000
}
