#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { defaultServers, parseServers } from '../memcached/address.ts'
import { COULD_NOT_CHECK, checkUp, inText } from './doctor.ts'
import type { ExamineOptions } from './examine.ts'
import { inJson } from './json.ts'
import { PLAN_HELP, planCommand } from './plan-command.ts'
import { type Look, watch } from './watch.ts'
import { complaint } from './words.ts'

const HELP = `Usage: npx express-session-memcached doctor [servers] [options]

Looks at memcached servers as a store for sessions, compares them, and says what to do better.

  servers             as for the store: localhost:11211, user:password@host, /path/to.sock,
                      memcacheds://host (TLS); several with commas or spaces.
                      Default: MEMCACHED_SERVERS, MEMCACHIER_SERVERS, MEMCACHE_SERVERS, localhost:11211
  --prefix <prefix>   of the sessions' keys, default sess:
  --timeout <ms>      that a server may take for an answer, default 2000
  --json              for machines
  --watch             looks again and again, until Ctrl-C
  --help              shows this
  --version           shows the version

Exit code: 0 all is well, 1 there is something to do, 2 a server could not be checked, or its
sessions not counted, as always with -S and -X; there may be something to do, too.
`

interface Options extends ExamineOptions {
  readonly json: boolean
  readonly watch: boolean
}

/** Where nothing is shown of how far it is. */
const NOWHERE = { write() {} }

/** There is none of the name that was given; which one that was is not said: it may be an address, with its password. */
class UnknownCommand extends TypeError {}

/** @throws TypeError - for what cannot be understood. */
function readArguments(args: string[]): Options | 'help' | 'version' {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      prefix: { type: 'string', default: 'sess:' },
      timeout: { type: 'string', default: '2000' },
      json: { type: 'boolean', default: false },
      watch: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
    },
  })
  const [command, ...servers] = positionals
  if (values.help === true || command === 'help') return 'help'
  if (values.version === true) return 'version'
  if (command !== 'doctor') {
    throw new UnknownCommand(
      `${command === undefined ? 'Expected a command' : 'Unknown command'}: there are \`doctor\` and \`plan\``,
    )
  }
  const timeout = Number(values.timeout)
  if (!(timeout >= 1 && timeout <= 600_000)) {
    throw new TypeError('Expected `--timeout` to be a number of milliseconds from 1 to 600000')
  }
  const { prefix, json, watch } = values
  if (json && watch) throw new TypeError('Expected `--json` or `--watch`, got both')
  const addresses = parseServers(servers.length > 0 ? servers : defaultServers(process.env))
  return { addresses, prefix, timeout, json, watch }
}

async function doctor(options: Options): Promise<number> {
  const { prefix, json } = options
  if (options.watch) return await watchServers(options)
  const checked = await checkUp(options, process.stderr)
  process.stdout.write(json ? inJson(checked) : inText(checked, prefix))
  return checked.code
}

/** Until Ctrl-C; a second one ends it at once. */
async function watchServers(options: Options): Promise<number> {
  const end = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end.abort())
  const look = async (): Promise<Look> => {
    const checked = await checkUp(options, NOWHERE)
    return { text: inText(checked, options.prefix), code: checked.code }
  }
  return await watch(look, process.stdout, end.signal)
}

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const isPlan = args[0] === 'plan'
  try {
    if (isPlan) {
      process.stdout.write(planCommand(args.slice(1)))
      return 0
    }
    const options = readArguments(args)
    if (typeof options === 'object') return await doctor(options)
    process.stdout.write(options === 'help' ? `${HELP}\n${PLAN_HELP}` : `${version()}\n`)
    return 0
  } catch (error) {
    const help = error instanceof UnknownCommand ? `${HELP}\n${PLAN_HELP}` : isPlan ? PLAN_HELP : HELP
    process.stderr.write(
      error instanceof TypeError ? `${complaint(error)}\n\n${help}` : `${(error as Error).stack}\n`,
    )
    return COULD_NOT_CHECK
  }
}

function version(): string {
  const file = new URL(import.meta.resolve('express-session-memcached/package.json'))
  return JSON.parse(readFileSync(file, 'utf8')).version
}

process.exitCode = await main()
