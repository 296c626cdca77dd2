import { comparisons } from './comparisons.ts'
import type { Examination, Examined } from './examination.ts'
import { type ExamineOptions, examine } from './examine.ts'
import { type Finding, findings } from './findings.ts'
import type { Terminal } from './progress.ts'
import { describeServer, formatFinding } from './report.ts'
import { inWords } from './words.ts'

/** Exit codes. */
const FINE = 0
const FINDINGS = 1
export const COULD_NOT_CHECK = 2

/** What was seen of all servers, and what there is to do. */
export interface CheckUp {
  readonly servers: readonly CheckedServer[]
  /** What differs between them. */
  readonly comparisons: readonly Finding[]
  readonly code: number
}

export interface CheckedServer extends Examined {
  readonly findings: readonly Finding[]
  /** Of all sessions that were counted, how many lie there; NaN where there is one server, or none was counted. */
  readonly share: number
}

/** Looks at all servers. @param terminal - where progress is shown, if it is one. */
export async function checkUp(options: ExamineOptions, terminal: Terminal): Promise<CheckUp> {
  const examined = await examine(options, terminal)
  const all = examined.reduce((sum, { examination }) => sum + sessionsIn(examination), 0)
  const servers = examined.map(one => ({
    ...one,
    findings: one.examination instanceof Error ? [] : findings(one.examination),
    share: examined.length > 1 && isCounted(one.examination) ? sessionsIn(one.examination) / all : Number.NaN,
  }))
  const compared = comparisons(examined)
  const isWell = compared.length === 0 && servers.every(one => one.findings.length === 0)
  const isComplete = examined.every(({ examination }) => isCounted(examination))
  return { servers, comparisons: compared, code: isComplete ? (isWell ? FINE : FINDINGS) : COULD_NOT_CHECK }
}

/** What was seen and what to do about it, for people. */
export function inText({ servers, comparisons }: CheckUp, prefix: string): string {
  const found = servers.reduce((sum, one) => sum + one.findings.length, comparisons.length)
  const unchecked = servers.filter(({ examination }) => examination instanceof Error).length
  const uncounted = servers.filter(({ examination }) => !isCounted(examination)).length - unchecked
  const of = `of ${servers.length} server${servers.length === 1 ? '' : 's'}`
  return [
    ...servers.map(server => `${server.address}\n${body(server, prefix)}\n`),
    comparisons.length === 0 ? '' : `all servers\n${comparisons.map(formatFinding).join('')}\n`,
    unchecked > 0 ? `${unchecked} ${of} could not be checked. ` : '',
    uncounted > 0 ? `The sessions on ${uncounted} ${of} could not be counted. ` : '',
    found === 0 ? 'No findings.\n' : found === 1 ? '1 finding.\n' : `${found} findings.\n`,
  ].join('')
}

function body({ examination, findings, share }: CheckedServer, prefix: string): string {
  return examination instanceof Error
    ? `\n  ! could not be checked\n    ${inWords(examination)}\n`
    : describeServer(examination, prefix, share) + findings.map(formatFinding).join('')
}

function isCounted(examination: Examination | Error): boolean {
  return !(examination instanceof Error || examination.sessions instanceof Error)
}

function sessionsIn(examination: Examination | Error): number {
  if (examination instanceof Error || examination.sessions instanceof Error) return 0
  return examination.sessions.keys
}
