import type { Operation } from './history.ts'
import type { Plan } from './plan.ts'
import type { Leaves } from './session.ts'
import type { Outcome } from './simulate.ts'
import { BEGINNING } from './virtual-time.ts'

/** A history for people: its setting, what happened, what each operation came to, and what is wrong with it. */
export function tellOf({ setting }: Plan, { story, history, verdict }: Outcome): string {
  const operations = history.operations.filter(({ what }) => what !== 'close')
  const violations = verdict.violations.length === 0 ? ['none'] : verdict.violations
  return [
    JSON.stringify(setting),
    story,
    'operations:',
    ...operations.map(line),
    ...history.conflicts.map(
      ({ time, process, sid, outcome }) => `conflict ${at(time)} process ${process} ${sid}: ${outcome}`,
    ),
    'exceptions:',
    ...verdict.exceptions.map(text => `  ${text}`),
    'violations:',
    ...violations.map(text => `  ${text}`),
  ].join('\n')
}

function line({ number, what, sid, process, start, end, error, leaves, count, known }: Operation): string {
  const who = process < 0 ? 'observer' : `process ${process}`
  const result = error === undefined ? 'ok' : String((error as { code?: string }).code ?? error)
  const base = known === undefined ? '' : `, read ${at(known.readAt).trim()}: ${show(known.base)}`
  const counted = count === undefined ? '' : ` count ${count}`
  return `${String(number).padStart(3)} ${at(start)} to ${at(end)} ${who} ${what} ${sid}: ${result} ${show(leaves)}${counted}${base}`
}

function at(time: number): string {
  return (time - BEGINNING).toFixed(1).padStart(8)
}

function show(leaves: Leaves | null): string {
  return JSON.stringify(leaves, (name, value) => (name === 'shape' ? undefined : value))
}
