import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach } from 'vitest'
import { until } from '../support/until.ts'

const MAIN = fileURLToPath(new URL('../../example-app/src/main.ts', import.meta.url))
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface Started {
  readonly child: ChildProcess
  /** All that was printed so far. */
  readonly output: () => string
}

const started: ChildProcess[] = []

/** Milliseconds that it has to stop what it has started. */
const GRACE = 10_000

// Killed at once it would leave its memcacheds behind.
afterEach(async () => {
  await Promise.all(started.splice(0).map(end))
})

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), GRACE)
  await gone
  clearTimeout(timer)
}

/** The example app from its command line, on free ports, and what it prints. */
export function start(args: string[], env: NodeJS.ProcessEnv = {}): Started {
  return run(process.execPath, ['--import', 'tsx', MAIN, ...args], env)
}

/** The same as people start it. */
export function npmStart(env: NodeJS.ProcessEnv = {}): Started {
  return run('npm', ['start'], env)
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv): Started {
  let text = ''
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...process.env, PORT: '0', SESSION_SECRET: 'a secret of the tests, long enough', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => (text += chunk))
  started.push(child)
  return { child, output: () => text }
}

/** Where it listens, once it says so. */
export async function urlOf({ child, output }: Started): Promise<string> {
  const [url] = await until(
    () => (child.exitCode === null ? /http:\/\/[^\s]+:\d+(?= in your browser)/.exec(output()) : ['']),
    20_000,
  )
  if (url === undefined || url === '') throw new Error(`It did not start: ${output()}`)
  return url
}

export async function answers(url: string): Promise<boolean> {
  return fetch(`${url}/health`).then(
    response => response.ok,
    () => false,
  )
}

/** A browser with one cookie jar for all ports, as browsers have. */
export class Visitor {
  readonly #cookies = new Map<string, string>()

  async send(url: string, fields?: Record<string, string>): Promise<string> {
    const cookie = Array.from(this.#cookies, pair => pair.join('=')).join('; ')
    const body = fields === undefined ? {} : { method: 'POST', body: new URLSearchParams(fields) }
    const response = await fetch(url, { ...body, redirect: 'manual', headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) as unknown as [string, string, string]
      this.#cookies.set(name, value)
    }
    return response.text()
  }
}
