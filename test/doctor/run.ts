import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { inText, checkUp as look } from '../../lib/cli/doctor.ts'
import { parseServers } from '../../lib/memcached/address.ts'
import { Memcached } from '../support/memcached.ts'
import { programOf } from '../support/programs.ts'
import { TcpProxy } from '../support/proxy.ts'

export const main: string = programOf(new URL('../../lib/cli/main.ts', import.meta.url))

/** The version of the memcached on this machine. */
const installed: string = /[\d.]+/.exec(String(spawnSync('memcached', ['-V']).stdout))?.[0] ?? ''

export interface Result {
  readonly code: number
  readonly output: string
  readonly complaint: string
  /** The lines that begin with `!`. */
  readonly findings: string[]
}

/** Runs the command as its users do. */
export async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const child = spawn(process.execPath, [main, ...args], {
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
  let complaint = ''
  const checked = await look(
    { addresses: parseServers(servers), prefix, timeout },
    { write: text => (complaint += text) },
  )
  const output = inText(checked, prefix)
  return { code: checked.code, output, complaint, findings: findingsIn(output) }
}

function findingsIn(output: string): string[] {
  return [...output.matchAll(/^ {2}! (.*)$/gm)].map(match => match[1] as string)
}

/** A real memcached that says to be a version without known flaws, whatever is installed. */
export class UpToDate implements AsyncDisposable {
  readonly memcached: Memcached
  readonly #proxy: TcpProxy

  private constructor(memcached: Memcached, proxy: TcpProxy) {
    this.memcached = memcached
    this.#proxy = proxy
  }

  static async start(...flags: string[]): Promise<UpToDate> {
    const memcached = await Memcached.start(...flags)
    const proxy = await TcpProxy.start(memcached.address)
    const server = new UpToDate(memcached, proxy)
    server.pretend('1.6.45')
    return server
  }

  get address(): string {
    return this.#proxy.address
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#proxy.open
  }

  /** @param version - as long as the true one, since lengths stand before the text. */
  pretend(version: string): void {
    this.#proxy.tamper(reply =>
      Buffer.from(reply.toString('latin1').replaceAll(installed, version), 'latin1'),
    )
  }

  /** Its clock is so many seconds ahead from now on, and it says what it did before of its version. */
  advance(seconds: number): void {
    this.#proxy.tamper(reply => {
      const text = reply.toString('latin1').replaceAll(installed, '1.6.45')
      return Buffer.from(
        text.replace(/(?<!up)time(\d{10})$/, (_, time) => `time${Number(time) + seconds}`),
        'latin1',
      )
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]()
    await this.memcached.kill()
  }
}
