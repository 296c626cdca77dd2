import type { SimulatedDatabase } from './backing.ts'
import { judgeFailures } from './check-backing.ts'
import { judgeData } from './check-data.ts'
import { judgeLife, judgeRefusals } from './check-life.ts'
import { judgeSections } from './check-sections.ts'
import { judgeUsers } from './check-users.ts'
import type { History, Operation } from './history.ts'
import type { Plan } from './plan.ts'
import type { SimulatedServer } from './server.ts'
import { PREFIX } from './session.ts'
import { Timeline } from './timeline.ts'

/** What is wrong with a history; and what would be, were it not for an exception that is documented. */
export interface Verdict {
  readonly violations: string[]
  readonly exceptions: string[]
}

/** All that is known of one session. */
export interface Case {
  readonly sid: string
  readonly operations: readonly Operation[]
  readonly timeline: Timeline
  /** Moments at which somebody began to destroy it, or may have done so with others of its user. */
  readonly endings: readonly Operation[]
}

/** What all checks work with. */
export interface Court extends Verdict {
  readonly plan: Plan
  readonly history: History
  readonly servers: readonly SimulatedServer[]
  readonly database: SimulatedDatabase
  readonly cases: ReadonlyMap<string, Case>
  /** Milliseconds by which a process's clock differs from the world's at most. */
  readonly tolerance: number
  /** Milliseconds of that by which clocks were set while all this happened. */
  readonly jumps: number
}

/** A clock that is set by more than this is a fault of its own, of sessions without a date. */
const SMALL_JUMP = 10_000

export function judge(
  plan: Plan,
  history: History,
  servers: readonly SimulatedServer[],
  database: SimulatedDatabase,
): Verdict {
  const jumps = jumpsOf(plan)
  const tolerance = Math.max(0, ...plan.setting.skews.map(Math.abs)) + jumps
  const court: Court = {
    plan,
    history,
    servers,
    database,
    cases: casesOf(plan, history, servers, database, tolerance),
    tolerance,
    jumps,
    violations: [],
    exceptions: [],
  }
  judgeCalls(court)
  for (const one of court.cases.values()) {
    judgeData(court, one)
    judgeLife(court, one)
  }
  judgeRefusals(court)
  judgeSections(court)
  judgeUsers(court)
  if (plan.setting.backing !== null) judgeFailures(court)
  return court
}

function jumpsOf({ faults }: Plan): number {
  const jumps = faults.map(fault => (fault.fault === 'clock' ? Math.abs(fault.by) : 0))
  return jumps.filter(jump => jump < SMALL_JUMP).reduce((sum, jump) => sum + jump, 1)
}

function casesOf(
  { setting }: Plan,
  history: History,
  servers: readonly SimulatedServer[],
  database: SimulatedDatabase,
  tolerance: number,
): Map<string, Case> {
  const bySid = new Map<string, Operation[]>()
  const signOuts: Operation[] = []
  for (const operation of history.operations) {
    if (operation.what === 'sign out') signOuts.push(operation)
    else if (operation.what !== 'sessions of' && operation.what !== 'close') {
      const found = bySid.get(operation.sid)
      if (found === undefined) bySid.set(operation.sid, [operation])
      else found.push(operation)
    }
  }
  const cases = new Map<string, Case>()
  for (const [sid, operations] of bySid) {
    const changes = servers.flatMap(server => server.changes.get(PREFIX + sid) ?? [])
    const timeline = new Timeline(
      changes,
      tolerance,
      setting.backing === null ? undefined : (database.changes.get(sid) ?? []),
    )
    const ofSid = operations.filter(({ what }) => what === 'destroy')
    const endings = [...ofSid, ...signOuts.filter(({ except }) => except !== sid)]
    cases.set(sid, { sid, operations, timeline, endings })
  }
  return cases
}

/**
 * So many timeouts an operation may take: a read one, whatever it waits for, but for one with a backing store, which
 * has many steps; a change one for its first write, and one from its first wait on. Those of many steps have more.
 */
const MAX_TIMEOUTS: Partial<Record<Operation['what'], number>> = {
  get: 1.01,
  set: 2.2,
  touch: 2.2,
  destroy: 2.2,
}
const MAX_OF_BACKED_READ = 1.6
const MAX_OF_MANY_STEPS = 20

/** Every callback came, once and in time, with nothing thrown where nobody catches. */
function judgeCalls({ plan, history, violations }: Court): void {
  const { timeout, backing } = plan.setting
  const more = backing === null ? 0 : 2 * timeout + 4 * backing.timeout
  for (const { what, sid, calls, start, end, number } of history.operations) {
    const isBackedRead = what === 'get' && backing !== null
    const most = isBackedRead ? MAX_OF_BACKED_READ : (MAX_TIMEOUTS[what] ?? MAX_OF_MANY_STEPS)
    if (calls === 1 && end - start > most * (timeout + more)) {
      violations.push(
        `late: operation ${number}, ${what} ${sid}, took ${Math.round(end - start)} of ${timeout} ms`,
      )
    }
    if (calls === 0) violations.push(`hangs: ${what} ${sid}`)
    if (calls > 1) violations.push(`called ${calls} times: ${what} ${sid}`)
  }
  for (const thrown of history.thrown)
    violations.push(`thrown: ${thrown instanceof Error ? thrown.stack : thrown}`)
}
