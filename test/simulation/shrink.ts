import type { Plan, Setting, Visit } from './plan.ts'
import { type SimulateOptions, simulate } from './simulate.ts'

/** Other latencies that are tried with each smaller plan: leaving something out shifts all that follows. */
const SEEDS = 12
/** Histories at most. */
const MAX_TRIES = 6000

const PLAINEST: Partial<Setting> = {
  servers: 1,
  skews: [0],
  onConflict: 'merge',
  onUnavailable: 'error',
  rolling: false,
  resave: false,
  hasUsers: false,
  touchAfter: 0,
  latency: 1,
}

/** What sort of failure this is: a plan that fails in another way is another find. */
export function kindOf(violation: string): string {
  return violation.slice(0, violation.indexOf(':'))
}

/** The smallest plan to be found that still fails in the same way. */
export async function shrink(plan: Plan, kind: string, options: SimulateOptions = {}): Promise<Plan> {
  let tried = 0
  const fails = async (candidate: Plan): Promise<Plan | undefined> => {
    for (let other = 0; other < SEEDS && tried < MAX_TRIES; other++) {
      const seeded = { ...candidate, seed: candidate.seed + other * 7919 }
      tried++
      const { verdict } = await simulate(seeded, options)
      if (verdict.violations.some(violation => kindOf(violation) === kind)) return seeded
    }
    return undefined
  }
  let best = plan
  for (let isSmaller = true; isSmaller && tried < MAX_TRIES; ) {
    isSmaller = false
    for (const smaller of candidates(best)) {
      const found = await fails(smaller(best) ?? best)
      if (found === undefined || size(found) >= size(best)) continue
      best = found
      isSmaller = true
    }
  }
  return best
}

function size({ setting, visits, faults }: Plan): number {
  const steps = visits.reduce((sum, visit) => sum + 1 + visit.steps.length + Number(visit.isExclusive), 0)
  const special = Object.entries(PLAINEST).filter(
    ([name, value]) => JSON.stringify(setting[name as keyof Setting]) !== JSON.stringify(value),
  )
  return steps + faults.length + setting.skews.length + special.length / 10
}

/** Ways to leave something out; each is asked when its turn comes, of what is left by then. */
function candidates(plan: Plan): ((now: Plan) => Plan | undefined)[] {
  const ways: ((now: Plan) => Plan | undefined)[] = []
  for (let at = plan.visits.length - 1; at >= 0; at--) {
    ways.push(now => (at < now.visits.length ? { ...now, visits: without(now.visits, at) } : undefined))
  }
  for (let at = plan.faults.length - 1; at >= 0; at--) {
    ways.push(now => (at < now.faults.length ? { ...now, faults: without(now.faults, at) } : undefined))
  }
  for (let at = plan.visits.length - 1; at >= 0; at--) {
    for (let step = (plan.visits[at] as Visit).steps.length - 1; step >= 0; step--) {
      ways.push(now =>
        changeVisit(now, at, visit =>
          step < visit.steps.length ? { ...visit, steps: without(visit.steps, step) } : undefined,
        ),
      )
    }
    ways.push(now =>
      changeVisit(now, at, visit => (visit.isExclusive ? { ...visit, isExclusive: false } : undefined)),
    )
  }
  for (const [name, value] of Object.entries(PLAINEST)) {
    if (name !== 'skews') ways.push(now => ({ ...now, setting: { ...now.setting, [name]: value } }))
  }
  ways.push(now => ({ ...now, setting: { ...now.setting, skews: now.setting.skews.map(() => 0) } }))
  for (let most = plan.setting.skews.length - 1; most > 0; most--) ways.push(now => inProcesses(now, most))
  return ways
}

/** The same in so many processes. */
function inProcesses(plan: Plan, most: number): Plan | undefined {
  const { skews } = plan.setting
  if (skews.length <= most) return undefined
  return {
    ...plan,
    setting: { ...plan.setting, skews: skews.slice(0, most) },
    visits: plan.visits.map(visit => ({ ...visit, process: visit.process % most })),
  }
}

function changeVisit(plan: Plan, at: number, change: (visit: Visit) => Visit | undefined): Plan | undefined {
  const visit = plan.visits[at]
  const changed = visit && change(visit)
  return changed && { ...plan, visits: plan.visits.with(at, changed) }
}

function without<T>(list: readonly T[], at: number): T[] {
  return list.filter((_, index) => index !== at)
}
