import { summary } from '../cluster/server-stats.ts'
import type { Statistics } from '../memcached/statistics.ts'
import type { Examination } from './examination.ts'
import type { Finding } from './findings.ts'
import { bytes, count, counted, duration, inWords, NOT_TOLD, percent } from './words.ts'

/**
 * What a server is and how it does, in a few lines.
 *
 * @param share - of all sessions that were counted, how many lie there; NaN where that says nothing.
 */
export function describeServer({ statistics, sessions }: Examination, prefix: string, share: number): string {
  const keeps = keepsMemory(statistics)
  const server = summary('', statistics)
  const { items, evictions, connections, connectionLimit, hits, misses } = server
  const limit = Number(statistics.settings.get('item_size_max') ?? Number.NaN)
  const lines = [
    `${softwareOf(statistics)}, ${Number.isNaN(server.uptime) ? '' : `up ${duration(server.uptime)}, `}answers in ${server.roundTrip.toFixed(1)} ms`,
    `protocol     ${server.protocol}`,
    Number.isNaN(server.limit)
      ? `memory       ${NOT_TOLD}`
      : `memory       ${percent(server.bytes / server.limit)} of ${bytes(server.limit)}: ${counted(items, 'item')}, ${count(evictions)} evicted`,
    `connections  ${Number.isNaN(connections) ? NOT_TOLD : `${count(connections)} of ${count(connectionLimit)}`}`,
    Number.isNaN(hits + misses)
      ? `reads        ${NOT_TOLD}`
      : hits + misses === 0
        ? 'reads        none yet'
        : `reads        ${count(hits + misses)}, ${percent(hits / (hits + misses))} found something`,
    sessions instanceof Error
      ? `sessions     not counted. ${inWords(sessions)}`
      : sessions.keys === 0
        ? `sessions     none under ${prefix}`
        : `sessions     ${counted(sessions.keys, 'key')} under ${prefix}${Number.isNaN(share) ? '' : `, ${percent(share)} of all`}, the largest ${bytes(sessions.largest)} of ${bytes(limit)}`,
    ...(keeps === null
      ? []
      : [
          `restarts     ${keeps ? 'keep its sessions, where it is stopped with SIGUSR1 (-e)' : 'lose its sessions (no -e)'}`,
        ]),
  ]
  return lines.map(line => `  ${line}\n`).join('')
}

/** Was it started with `-e`, so that it has its memory again after a restart? Null where it does not tell. */
export function keepsMemory({ settings }: Statistics): boolean | null {
  const file = settings.get('memory_file')
  return file === undefined ? null : file !== '(null)'
}

/** What answers there. Proxies pass on the version of a server behind them, and tell nothing else. */
export function softwareOf({ general }: Statistics): string {
  const version = general.get('version') ?? ''
  if (version.startsWith('yrmcds')) return version.replace(' version', '')
  if (general.has('proxy_conn_requests')) return `memcached's proxy ${version}`
  if (general.has('pid')) return `memcached ${version}`
  return version === '' ? 'a server that tells nothing of itself' : `a proxy before memcached ${version}`
}

export function formatFinding({ problem, advice }: Finding): string {
  return `\n  ! ${problem}\n    ${advice}\n`
}
