import { excuseBacked, excuseUntold } from './check-backing.ts'
import type { Case, Court } from './checks.ts'
import type { History, Operation } from './history.ts'
import { PATHS, type Path } from './session.ts'

/** One leaf of one save. */
export interface Write {
  readonly path: Path
  readonly value: unknown
  /** What its request had read there. */
  readonly seen: unknown
  readonly start: number
  readonly end: number
  /** When its request tried it first: a failed save may have stored it, and others have changed it since. */
  readonly since: number
  /** Is it sure to be stored, unless the session itself was lost or destroyed? */
  readonly isSure: boolean
  readonly operation: Operation | undefined
}

/** Then a request from before brings back what it knows. */
export const TOMBSTONE_LOST = 'a tombstone is lost by the server'

/** What a touch may store. */
const COOKIE: readonly Path[] = ['life']

/** What a leaf is before anybody writes it. */
function nothing(path: Path): Write {
  const [start, end] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  return {
    path,
    value: undefined,
    seen: undefined,
    start,
    end,
    since: start,
    isSure: true,
    operation: undefined,
  }
}

/** What was acknowledged is there, and what was taken back is not; at every read, and at the end. */
export function judgeData(court: Court, one: Case): void {
  const { violations, exceptions } = court
  const writes = writesOf(court, one)
  for (const read of one.operations) {
    if (read.what !== 'get' || read.leaves === null) continue
    for (const path of PATHS) {
      const value = read.leaves[path]
      const fault = objection(one, writes, path, value, read)
      if (fault === undefined) continue
      const told = `${path === 'life' ? 'cookie' : 'data'}: ${one.sid} ${path} is ${value} although ${fault}`
      const exception = excuse(court, one, writes, path, value, read.end)
      if (exception === undefined) violations.push(told)
      else exceptions.push(exception)
    }
  }
  judgeDropped(court, one)
  judgeCounter(court, one)
  judgeRejections(court, one)
}

/** Every leaf that a save wrote, by the rules. */
export function writesOf({ plan, history }: Court, one: Case): Write[] {
  const { operations, timeline } = one
  const writes: Write[] = PATHS.map(nothing)
  for (const operation of operations) {
    const { what, leaves, known, start, error } = operation
    if ((what !== 'set' && what !== 'touch') || leaves === null || known === undefined) continue
    const end = error === undefined && operation.calls === 0 ? Number.POSITIVE_INFINITY : operation.end
    const isDropped = wasDropped(history, operation)
    // Nor is an edit on top of a save that was given up one of what is stored.
    const isOnDropped = operations.some(
      ({ number }, at) => number === known.savedBy && wasDropped(history, operations[at] as Operation),
    )
    // A touch does not bring back what is not there.
    const isVain = what === 'touch' && timeline.isAbsent(start, end)
    const isAcknowledged = operation.calls > 0 && error === undefined && !isDropped && !isOnDropped && !isVain
    const { base, maybe } = known
    const stored = maybe.filter(({ leaves: own, start: since }) =>
      timeline.hasStored(
        PATHS.filter(path => own[path] !== base[path]),
        own,
        since,
      ),
    )
    const differs = (path: Path): boolean =>
      leaves[path] !== base[path] || stored.some(own => own.leaves[path] !== leaves[path])
    // The store does not know which of the earlier saves were stored: it may take this one for a change.
    const mayDiffer = (path: Path): boolean =>
      leaves[path] !== base[path] || maybe.some(own => own.leaves[path] !== leaves[path])
    const isWhole =
      what === 'set' &&
      plan.setting.onConflict === 'overwrite' &&
      (leaves.shape !== base.shape || PATHS.some(mayDiffer))
    for (const path of what === 'set' ? PATHS : COOKIE) {
      const isBrought = path === 'life' && bringsLife(one, operation, end)
      if (!mayDiffer(path) && !isWhole && !isBrought) continue
      // What an `overwrite` carries along may be stored. What was merged into an earlier save of it stays, though.
      const isSure = isAcknowledged && differs(path)
      const value = leaves[path]
      // An `overwrite` carries along what an earlier save of its request has set: nobody has seen it of this one.
      const isCarried = isWhole && maybe.some(own => own.leaves[path] === value)
      const tries = maybe.filter(own => value !== base[path] && own.leaves[path] === value)
      const since = Math.min(start, ...tries.map(own => own.start))
      writes.push({ path, value, seen: isCarried ? value : base[path], start, end, since, isSure, operation })
    }
  }
  return writes
}

/** A save that changes the cookie's life alone is a touch, and done where there is no session; the next brings it. */
export function bringsLife(
  { operations, timeline }: Case,
  { known, leaves }: Operation,
  end: number,
): boolean {
  const read = operations.find(({ number }) => number === known?.reading)?.leaves
  return (
    known !== undefined &&
    read?.life !== undefined &&
    read.life !== leaves?.life &&
    timeline.isInterrupted(known.readAt, end)
  )
}

/** Was the application told that this save was given up, since its session had been destroyed? */
function wasDropped({ conflicts }: History, { sid, process, start, end }: Operation): boolean {
  return conflicts.some(
    ({ outcome, ...conflict }) =>
      outcome === 'destroyed' &&
      conflict.sid === sid &&
      conflict.process === process &&
      conflict.time >= start &&
      conflict.time <= end,
  )
}

/**
 * A save is given up only where its session was destroyed, or lost; and lost ones are written again by those
 * who have read them lately.
 */
function judgeDropped(court: Court, one: Case): void {
  const { plan, history, violations, exceptions } = court
  const { sid, operations, timeline, endings } = one
  for (const operation of operations) {
    const { what, known, start, end, error, number } = operation
    if (what !== 'set' || known === undefined || error !== undefined || !wasDropped(history, operation))
      continue
    const together = operations.filter(
      other => other.what === 'set' && other.start <= end && other.end >= start,
    )
    if (endings.some(ending => ending.start <= end) || together.length > 1) continue
    // A request may end a session by the life that it gives it.
    if (timeline.endings.some(time => time <= end)) continue
    if (plan.setting.backing !== null && timeline.isOver(known.readAt, end)) continue
    const isLate = end - known.readAt >= plan.setting.tombstone * 1000
    if (isLate && timeline.isInterrupted(known.readAt, end)) continue
    const exception = excuseBacked(court, one, end) ?? excuseUntold(court, one, end)
    if (exception !== undefined) {
      exceptions.push(exception)
      continue
    }
    violations.push(`dropped: operation ${number} is given up, although ${sid} was not destroyed`)
  }
}

/** Why a read cannot have found this value; undefined where it can. */
export function objection(
  { timeline }: Case,
  writes: readonly Write[],
  path: Path,
  value: unknown,
  read: Pick<Operation, 'start' | 'end'>,
): string | undefined {
  const ofPath = writes.filter(write => write.path === path)
  const origins = ofPath.filter(write => write.value === value && write.start <= read.end)
  if (origins.length === 0) return 'nobody wrote that'
  let reason: string | undefined
  for (const origin of origins) {
    const later = ofPath.find(
      write =>
        write !== origin &&
        write.isSure &&
        write.end <= read.start &&
        write.value !== value &&
        (write.since > origin.end || hasSeen(write, origin)) &&
        !timeline.isInterrupted(write.start, read.end),
    )
    if (later === undefined) return undefined
    reason = `${later.value} was acknowledged after it (operation ${later.operation?.number})`
  }
  return reason
}

/** Was what it wrote on top of what the other wrote? Values are unique, but for what an `overwrite` carries along. */
function hasSeen(write: Write, origin: Write): boolean {
  const readAt = write.operation?.known?.readAt ?? Number.NEGATIVE_INFINITY
  const isItsOwn = origin.value !== undefined && origin.seen !== origin.value
  return isItsOwn && write.seen === origin.value && readAt > origin.start
}

/** The exception by which an objection is none. */
export function excuse(
  court: Court,
  one: Case,
  writes: readonly Write[],
  path: Path,
  value: unknown,
  until: number,
): string | undefined {
  return (
    excuseWrite(court, one, writes, path, value) ??
    excuseBacked(court, one, until) ??
    (one.timeline.tombstonesLost.some(time => time <= until) ? TOMBSTONE_LOST : undefined)
  )
}

function excuseWrite(
  { plan, history }: Court,
  { timeline }: Case,
  writes: readonly Write[],
  path: Path,
  value: unknown,
): string | undefined {
  for (const origin of writes) {
    const { operation, start, end } = origin
    if (origin.path !== path || origin.value !== value || operation === undefined) continue
    const isLate = timeline.entries.some(
      entry =>
        entry.leaves[path] === value && entry.kind === 'written' && !entry.isConditional && entry.time > end,
    )
    if (isLate) return 'an unconditional write is carried out after its request gave up'
    const isDoubted =
      (plan.setting.backing !== null && operation.error !== undefined) ||
      history.doubts.some(
        ({ process, time }) => process === operation.process && time >= start && time <= end,
      )
    if (
      isDoubted &&
      writes.some(write => write.path === path && write.end >= start && hasSeen(write, origin))
    ) {
      return 'a write of unknown outcome is repeated over a change of what it had stored'
    }
  }
  return undefined
}

/** A counter is what was acknowledged, and at most what was tried. */
function judgeCounter(court: Court, one: Case): void {
  const { plan, violations } = court
  const { sid, operations, timeline, endings } = one
  const last = operations.findLast(({ what, leaves }) => what === 'get' && leaves !== null)
  if (last === undefined || plan.setting.onConflict === 'overwrite') return
  if (endings.length > 0 || timeline.isInterrupted(0, last.end)) return
  const updates = operations.filter(({ what, start }) => what === 'update' && start <= last.end)
  const sure = updates.filter(
    ({ leaves, error, end }) => leaves !== null && error === undefined && end <= last.start,
  )
  const tried = updates.filter(({ leaves, error }) => leaves !== null || error !== undefined)
  const count = last.count ?? 0
  if (count >= sure.length && count <= tried.length) return
  const exception = excuseBacked(court, one, last.end)
  if (exception !== undefined) {
    court.exceptions.push(exception)
    return
  }
  violations.push(`counter: ${sid} counts ${count} where ${sure.length} to ${tried.length} were counted`)
}

/** Nobody is refused on account of nothing but his own saves. */
function judgeRejections(court: Court, one: Case): void {
  const { plan, violations, exceptions } = court
  const { sid, operations, endings } = one
  if (plan.setting.onConflict !== 'reject') return
  for (const refused of operations) {
    const { known, error } = refused
    if (refused.what !== 'set' || known === undefined) continue
    if ((error as { code?: string } | undefined)?.code !== 'ERR_CONFLICT') continue
    const others = operations.filter(
      other =>
        (other.what === 'set' || other.what === 'touch' || other.what === 'update') &&
        other.known?.reading !== known.reading &&
        // One that failed may be carried out later on.
        (other.error !== undefined || other.end >= known.readAt) &&
        other.start <= refused.end,
    )
    if (others.length > 0 || endings.length > 0) continue
    const exception = excuseBacked(court, one, refused.end)
    if (exception !== undefined) {
      exceptions.push(exception)
    } else {
      violations.push(`rejected: ${sid}, operation ${refused.number}, although nobody else wrote`)
    }
  }
}
