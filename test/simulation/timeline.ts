import { TOMBSTONE } from '../../lib/storage/stored-form.ts'
import type { RowChange } from './backing.ts'
import type { Change } from './server.ts'
import { type Leaves, leavesOf, type Path } from './session.ts'

/** What was stored under a session's key from one moment on. */
export interface Stored {
  readonly time: number
  readonly kind: Change['kind']
  readonly mode: Change['mode']
  readonly isConditional: boolean
  readonly isTombstone: boolean
  readonly leaves: Leaves
  /** The cookie's date; Infinity where it has none. */
  readonly expires: number
  /** From when on memcached does not have it any more. */
  readonly until: number
}

/** What lies in memcached while the backing store is asked. */
const LEASE = ' '

/** A stretch of time, both ends included. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** All that was ever stored of one session, and when it was lost. */
export class Timeline {
  readonly entries: readonly Stored[]
  /** When it was thrown away by a server: evicted, or lost at a restart. */
  readonly accidents: readonly number[]
  /** When memcached threw away what it had of it, whether or not that was all there was. */
  readonly losses: readonly number[]
  /** When somebody who did not trust what memcached had of it asked the backing store in its place. */
  readonly distrusted: readonly number[]
  /** When it was destroyed. */
  readonly endings: readonly number[]
  /** When its tombstones were lost. */
  readonly tombstonesLost: readonly number[]
  /** When there was none to be read, because its time was over. Wide: by the earliest clock. */
  readonly over: readonly Span[]
  /** When what memcached showed was one whose time was over, whatever lay behind it. As wide. */
  readonly overThere: readonly Span[]

  /**
   * @param tolerance - milliseconds by which clocks differ at most.
   * @param rows - what the backing store had of it, where there is one: then nothing that memcached loses is lost.
   */
  constructor(changes: readonly Change[], tolerance: number, rows?: readonly RowChange[]) {
    this.entries = changes.filter(change => !isLease(change)).map(toStored)
    this.distrusted = distrustOf(changes)
    const lost = this.entries.filter(isLoss)
    this.losses = lost.map(({ time }) => time)
    this.accidents =
      rows === undefined ? lost.filter(entry => !entry.isTombstone).map(({ time }) => time) : []
    this.tombstonesLost =
      rows === undefined ? lost.filter(entry => entry.isTombstone).map(({ time }) => time) : []
    this.endings = this.entries
      .filter(({ kind, isTombstone }) => kind === 'deleted' || (kind === 'written' && isTombstone))
      .map(({ time }) => time)
    const overThere: Span[] = []
    for (const [index, entry] of this.entries.entries()) {
      if ((entry.kind !== 'written' && entry.kind !== 'touched') || entry.isTombstone) continue
      const from = Math.min(entry.until, entry.expires - tolerance)
      // One that was lost is over as well, once its time is; what memcached has no more the backing store is asked for.
      const next = this.entries.find((other, at) => at > index && (rows !== undefined || !isLoss(other)))
      const until = next?.time ?? Number.POSITIVE_INFINITY
      const to = rows === undefined ? until : Math.min(until, entry.until)
      if (from < to) overThere.push({ from: Math.max(from, entry.time), to })
    }
    this.overThere = overThere
    this.over =
      rows?.map(({ what, date, until }, index) => {
        const from = what === 'destroy' ? Number.POSITIVE_INFINITY : Math.min(date, until) - tolerance
        return { from, to: rows[index + 1]?.time ?? Number.POSITIVE_INFINITY }
      }) ?? overThere
  }

  /** May the session have been destroyed, lost, or over, at some time in this span? */
  isInterrupted(from: number, to: number): boolean {
    return (
      this.accidents.some(time => time >= from && time <= to) ||
      this.endings.some(time => time >= from && time <= to) ||
      this.over.some(span => span.from <= to && span.to >= from)
    )
  }

  /** May it have been missing, at some time in this span? */
  isAbsent(from: number, to: number): boolean {
    if (this.isOver(from, to) || this.overThere.some(span => span.from <= to && span.to >= from)) return true
    return this.entries.some(({ kind, isTombstone, time }, index) => {
      const isGone = isTombstone || (kind !== 'written' && kind !== 'touched')
      return isGone && time <= to && (this.entries[index + 1]?.time ?? Number.POSITIVE_INFINITY) >= from
    })
  }

  isOver(from: number, to: number): boolean {
    return this.over.some(span => span.from <= to && span.to >= from)
  }

  /** Were all these leaves ever stored together, from then on? */
  hasStored(paths: readonly Path[], leaves: Leaves, from: number): boolean {
    return this.entries.some(
      entry =>
        entry.kind === 'written' &&
        entry.time >= from &&
        !entry.isTombstone &&
        paths.every(path => entry.leaves[path] === leaves[path]),
    )
  }
}

/** When a lease came over what had been stored. */
export function distrustOf(changes: readonly Change[]): number[] {
  return changes
    .filter((change, index) => isLease(change) && change.isConditional && isSession(changes[index - 1]))
    .map(({ time }) => time)
}

function isSession(change: Change | undefined): boolean {
  return change?.kind === 'written' && !isLease(change) && (change.flags & TOMBSTONE) === 0
}

function isLease({ value, flags }: Change): boolean {
  return flags === 0 && String(value) === LEASE
}

function isLoss({ kind }: Stored): boolean {
  return kind === 'evicted' || kind === 'lost'
}

function toStored({ time, kind, mode, isConditional, value, flags, until }: Change): Stored {
  const isTombstone = (flags & TOMBSTONE) !== 0
  const session = isTombstone
    ? undefined
    : (JSON.parse(String(value)) as { cookie: { expires?: string | null } })
  const date = session?.cookie.expires
  return {
    time,
    kind,
    mode,
    isConditional,
    isTombstone,
    leaves: session === undefined ? {} : leavesOf(session),
    expires: typeof date === 'string' ? Date.parse(date) : Number.POSITIVE_INFINITY,
    until,
  }
}
