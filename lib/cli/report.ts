import { summary } from '../cluster/server-stats.ts'
import type { Examination } from './examination.ts'
import type { Finding } from './findings.ts'
import { bytes, count, counted, duration, inWords, percent } from './words.ts'

/** What a server is and how it does, in a few lines. */
export function describeServer({ statistics, sessions }: Examination, prefix: string): string {
  const server = summary('', statistics)
  const { items, evictions, connections, connectionLimit, hits, misses } = server
  const limit = Number(statistics.settings.get('item_size_max') ?? 0)
  const lines = [
    `memcached ${server.version}, up ${duration(server.uptime)}, answers in ${server.roundTrip.toFixed(1)} ms`,
    `memory       ${percent(server.bytes / server.limit)} of ${bytes(server.limit)}: ${counted(items, 'item')}, ${count(evictions)} evicted`,
    `connections  ${count(connections)} of ${count(connectionLimit)}`,
    hits + misses === 0
      ? 'reads        none yet'
      : `reads        ${count(hits + misses)}, ${percent(hits / (hits + misses))} found something`,
    sessions instanceof Error
      ? `sessions     not counted. ${inWords(sessions)}`
      : sessions.keys === 0
        ? `sessions     none under ${prefix}`
        : `sessions     ${counted(sessions.keys, 'key')} under ${prefix}, the largest ${bytes(sessions.largest)} of ${bytes(limit)}`,
  ]
  return lines.map(line => `  ${line}\n`).join('')
}

export function formatFinding({ problem, advice }: Finding): string {
  return `\n  ! ${problem}\n    ${advice}\n`
}
