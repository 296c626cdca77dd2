import { summary } from '../cluster/server-stats.ts'
import type { Examination } from './doctor.ts'
import type { Finding } from './findings.ts'

const KB = 1024

/** What a server is and how it does, in a few lines. */
export function describeServer({ statistics, sessions }: Examination, prefix: string): string {
  const server = summary('', statistics)
  const { items, evictions, connections, connectionLimit, hits, misses } = server
  const limit = Number(statistics.settings.get('item_size_max') ?? 0)
  const lines = [
    `memcached ${server.version}, up ${duration(server.uptime)}, answers in ${server.roundTrip.toFixed(1)} ms`,
    `memory       ${percent(server.bytes / server.limit)} of ${bytes(server.limit)}: ${count(items)} items, ${count(evictions)} evicted`,
    `connections  ${count(connections)} of ${count(connectionLimit)}`,
    hits + misses === 0
      ? 'reads        none yet'
      : `reads        ${count(hits + misses)}, ${percent(hits / (hits + misses))} found something`,
    sessions instanceof Error
      ? `sessions     not counted. ${inWords(sessions)}`
      : sessions.keys === 0
        ? `sessions     none under ${prefix}`
        : `sessions     ${count(sessions.keys)} keys under ${prefix}, the largest ${bytes(sessions.largest)} of ${bytes(limit)}`,
  ]
  return lines.map(line => `  ${line}\n`).join('')
}

export function formatFinding({ problem, advice }: Finding): string {
  return `\n  ! ${problem}\n    ${advice}\n`
}

/** An error with its cause, which says what the system said. */
export function inWords(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}

export function count(number: number): string {
  return number.toLocaleString('en')
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`
}

/** In units of 1,024, as memcached's options have them. */
export function bytes(number: number): string {
  if (number < KB) return `${number} bytes`
  const [unit, size] = number < KB ** 2 ? ['KB', KB] : number < KB ** 3 ? ['MB', KB ** 2] : ['GB', KB ** 3]
  return `${Number((number / (size as number)).toFixed(1))} ${unit}`
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} days`
}
