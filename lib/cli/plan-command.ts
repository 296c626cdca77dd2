import { parseArgs } from 'node:util'
import { type Plan, plan, type Wishes } from './plan.ts'
import { bytes, count, counted, percent } from './words.ts'

export const PLAN_HELP = `Usage: npx express-session-memcached plan --sessions <count> [options]

Says how many memcached servers so many sessions take, and how to start them.

  --sessions <count>   that are alive at a time, such as 100k, 10M or 1G
  --bytes <bytes>      of the stored text of one, default 400
  --requests <count>   per second, default 1k
  --memory <bytes>     that one server may take, such as 512M or 16G, default 8G
  --servers <count>    default: as many as it takes, 3 at least
  --processes <count>  of Node, default: as many as the requests take
  --key <bytes>        of prefix and session id, default 37
  --json               for machines
`

const UNITS = { '': 0, k: 1, M: 2, G: 3, T: 4 } as const

/** @throws TypeError - for what cannot be understood. */
export function planCommand(args: string[]): string {
  const { values } = parseArgs({
    args,
    options: {
      sessions: { type: 'string' },
      bytes: { type: 'string', default: '400' },
      requests: { type: 'string', default: '1k' },
      memory: { type: 'string', default: '8G' },
      servers: { type: 'string' },
      processes: { type: 'string' },
      key: { type: 'string', default: '37' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) return PLAN_HELP
  if (values.sessions === undefined) throw new TypeError('Expected `--sessions` to be given')
  const whole = (name: 'servers' | 'processes'): number | undefined =>
    values[name] === undefined ? undefined : number(name, values[name], 1000, 1, 65_535)
  const wishes: Wishes = {
    sessions: number('sessions', values.sessions, 1000, 1, 1e13),
    bytes: number('bytes', values.bytes, 1024, 1, 2 ** 29),
    requests: number('requests', values.requests, 1000, 0, 1e9),
    memory: number('memory', values.memory, 1024, 2 ** 27, 2 ** 50),
    servers: whole('servers'),
    processes: whole('processes'),
    keyLength: number('key', values.key, 1024, 1, 250),
  }
  const planned = plan(wishes)
  return values.json ? `${JSON.stringify({ ...wishes, ...planned })}\n` : inWords(wishes, planned)
}

function number(name: string, text: string, unit: number, least: number, most: number): number {
  const [, digits = '', letter = ''] = /^(\d+(?:\.\d+)?)([kMGT]?)$/.exec(text) ?? []
  const value = Math.round(Number(digits) * unit ** UNITS[letter as keyof typeof UNITS])
  if (digits !== '' && value >= least && value <= most) return value
  throw new TypeError(`Expected \`--${name}\` to be a number from ${least} to ${most}, such as 20k or 10M`)
}

function inWords({ sessions, bytes: text, keyLength }: Wishes, planned: Plan): string {
  const { servers, processes, item, chunk, total, most, resident, limit, connections, factor, largest } =
    planned
  const flags = [
    `-m ${limit}`,
    `-c ${connections}`,
    ...(factor === 1.25 ? [] : [`-f ${factor}`]),
    ...(largest === 1024 * 1024 ? [] : [`-I ${largest / 1024 / 1024}m`]),
  ]
  return `A session of ${count(text)} bytes under a key of ${keyLength} is an item of ${count(item)}, in a chunk of ${count(chunk)}.
${count(sessions)} sessions take ${bytes(total)} in all.

${counted(servers, 'server')}, each for up to ${count(most)} sessions, with ${bytes(resident)}:

  memcached ${flags.join(' ')}

${count(processes)} of Node's processes, each with a connection to each server.
A server that is lost affects ${percent(planned.affected)} of the visitors: without a backing store these are logged out.
`
}
