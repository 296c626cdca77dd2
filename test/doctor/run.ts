import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { doctor } from '../../lib/cli/doctor.ts'
import { parseServers } from '../../lib/memcached/address.ts'

export const main: string = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url))

export interface Result {
  readonly code: number
  readonly output: string
  readonly complaint: string
  /** The lines that begin with `!`. */
  readonly findings: string[]
}

/** Runs the command as its users do. */
export async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const [output, complaint, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number]>,
  ])
  return { code, output, complaint, findings: findingsIn(output) }
}

/** The same within this process, which is faster. */
export async function checkUp(
  servers: string,
  { prefix = 'sess:', timeout = 2000 }: { prefix?: string; timeout?: number } = {},
): Promise<Result> {
  let output = ''
  let complaint = ''
  const code = await doctor(
    parseServers(servers),
    prefix,
    timeout,
    { write: text => (output += text) },
    { write: text => (complaint += text) },
  )
  return { code, output, complaint, findings: findingsIn(output) }
}

function findingsIn(output: string): string[] {
  return [...output.matchAll(/^ {2}! (.*)$/gm)].map(match => match[1] as string)
}
