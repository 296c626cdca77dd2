import type { Plan } from './plan.ts'
import type { Outcome } from './simulate.ts'

/** How often what happened, over many histories. */
export class Tally {
  histories = 0
  readonly counts: Record<string, Record<string, number>> = {}

  add({ visits, faults }: Plan, { history, verdict }: Outcome): void {
    this.histories++
    for (const visit of visits) {
      this.#count('requests', visit.isExclusive ? 'exclusive' : 'usual')
      for (const step of visit.steps) this.#count('steps', step.do)
    }
    for (const fault of faults) this.#count('faults', nameOf(fault))
    for (const { what, error, end, start } of history.operations) {
      this.#count('operations', what)
      if (error !== undefined) this.#count('errors', (error as { code?: string }).code ?? String(error))
      if (Number.isFinite(end)) this.#most('longest, in ms', what, Math.round(end - start))
    }
    for (const { outcome } of history.conflicts) this.#count('conflicts', outcome)
    for (const exception of verdict.exceptions) this.#count('exceptions', exception)
  }

  merge(other: Pick<Tally, 'histories' | 'counts'>): void {
    this.histories += other.histories
    for (const [group, counts] of Object.entries(other.counts)) {
      for (const [name, count] of Object.entries(counts)) {
        if (group.startsWith('longest')) this.#most(group, name, count)
        else this.#count(group, name, count)
      }
    }
  }

  toString(): string {
    return Object.entries(this.counts)
      .map(([group, counts]) => {
        const list = Object.entries(counts)
          .sort(([, a], [, b]) => b - a)
          .map(([name, count]) => `    ${String(count).padStart(10)}  ${name}`)
        return `${group}:\n${list.join('\n')}`
      })
      .join('\n')
  }

  #count(group: string, name: string, by = 1): void {
    this.counts[group] ??= {}
    const counts = this.counts[group]
    counts[name] = (counts[name] ?? 0) + by
  }

  #most(group: string, name: string, value: number): void {
    this.counts[group] ??= {}
    const counts = this.counts[group]
    counts[name] = Math.max(counts[name] ?? 0, value)
  }
}

function nameOf(fault: Plan['faults'][number]): string {
  if (fault.fault === 'restart') return fault.isWarm ? 'restart, warm' : 'restart, empty'
  if (fault.fault === 'cut') return `connection lost ${fault.when} acting`
  return fault.fault === 'clock' ? 'clock set' : fault.fault
}
