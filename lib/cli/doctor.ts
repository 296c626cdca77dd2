import type { ServerAddress } from '../memcached/address.ts'
import { Inspector } from '../memcached/inspector.ts'
import { Keys } from '../storage/keys.ts'
import type { Examination } from './examination.ts'
import { findings } from './findings.ts'
import { Progress, type Terminal } from './progress.ts'
import { describeServer, formatFinding } from './report.ts'
import { inWords } from './words.ts'

/** Exit codes. */
const FINE = 0
const FINDINGS = 1
export const COULD_NOT_CHECK = 2

/**
 * Looks at each server, prints what it saw and what to do about it, and gives the exit code.
 *
 * @param timeout - milliseconds. @param progress - where progress is shown, if it is a terminal.
 */
export async function doctor(
  addresses: readonly ServerAddress[],
  prefix: string,
  timeout: number,
  output: { write(text: string): unknown },
  progress: Terminal,
): Promise<number> {
  let found = 0
  let unchecked = 0
  let uncounted = 0
  for (const address of addresses) {
    output.write(`${address.name}\n`)
    try {
      const inspector = new Inspector({ address, tls: undefined, timeout })
      const examination = await examine(inspector, prefix, new Progress(progress, address.name))
      const toDo = findings(examination)
      found += toDo.length
      if (examination.sessions instanceof Error) uncounted++
      output.write(describeServer(examination, prefix) + toDo.map(formatFinding).join(''))
    } catch (error) {
      unchecked++
      output.write(`\n  ! could not be checked\n    ${inWords(error as Error)}\n`)
    }
    output.write('\n')
  }
  const of = `of ${addresses.length} server${addresses.length === 1 ? '' : 's'}`
  if (unchecked > 0) output.write(`${unchecked} ${of} could not be checked. `)
  if (uncounted > 0) output.write(`The sessions on ${uncounted} ${of} could not be counted. `)
  output.write(found === 0 ? 'No findings.\n' : found === 1 ? '1 finding.\n' : `${found} findings.\n`)
  return unchecked + uncounted > 0 ? COULD_NOT_CHECK : found > 0 ? FINDINGS : FINE
}

async function examine(inspector: Inspector, prefix: string, progress: Progress): Promise<Examination> {
  const statistics = await inspector.statistics()
  const ids = new Keys(prefix)
  let keys = 0
  let largest = 0
  try {
    await inspector.walk({
      prefix,
      take({ key, size }) {
        if (!ids.isSession(key)) return
        keys++
        if (size > largest) largest = size
      },
      progress: passed => progress.add(passed),
      signal: new AbortController().signal,
    })
    return { statistics, sessions: { keys, largest } }
  } catch (error) {
    return { statistics, sessions: error as Error }
  } finally {
    progress.end()
  }
}
