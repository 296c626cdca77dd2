import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './port.ts'
import { until } from './until.ts'

/** Is there a memcached binary on this machine? */
export const hasMemcached: boolean = spawnSync('memcached', ['-V']).status === 0

/** Of every memcached that tests start: `MEMCACHED_FLAGS='-B ascii'` runs them over the text protocol. */
export const FLAGS: readonly string[] =
  process.env.MEMCACHED_FLAGS?.split(' ').filter(flag => flag !== '') ?? []

/** A real memcached daemon on loopback, to be tormented. */
export class Memcached {
  readonly port: number
  readonly address: string
  readonly #flags: readonly string[]
  #process: ChildProcess
  #isFrozen = false

  private constructor(port: number, flags: readonly string[], process: ChildProcess) {
    this.port = port
    this.address = `127.0.0.1:${port}`
    this.#flags = flags
    this.#process = process
  }

  /** Starts one on a port that stays its own when it is killed. `flags` are memcached's own, such as `'-M'`, `'-m', '1'`. */
  static async start(...flags: string[]): Promise<Memcached> {
    const all = [...FLAGS, ...flags]
    const port = await freePort()
    return new Memcached(port, all, await launch(port, all))
  }

  get pid(): number {
    return this.#process.pid as number
  }

  /**
   * SIGSTOP: it accepts connections (the kernel does) and never answers. The signal takes a moment to
   * reach each of its threads; who must not get a late answer waits for this (on Linux, which tells).
   */
  async freeze(): Promise<void> {
    this.#isFrozen = true
    this.#process.kill('SIGSTOP')
    await until(() => !this.#isFrozen || isStopped(this.pid))
  }

  thaw(): void {
    this.#isFrozen = false
    this.#process.kill('SIGCONT')
  }

  /** kill -9: everything it held is gone. */
  kill(): Promise<void> {
    return this.stop('SIGKILL')
  }

  /** Waits until it has ended. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const gone = once(this.#process, 'exit')
    this.#process.kill(signal)
    await gone
  }

  /** Starts it again, empty but for `-e`, on the same port. `flags` come in addition. */
  async restart(...flags: string[]): Promise<void> {
    await this.kill()
    this.#process = await launch(this.port, [...this.#flags, ...flags])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}

/** True also of one that is gone, and where the system does not tell. */
async function isStopped(pid: number): Promise<boolean> {
  const tasks = `/proc/${pid}/task`
  const threads = await readdir(tasks).catch(() => [])
  const states = threads.map(async thread => {
    const stat = await readFile(`${tasks}/${thread}/stat`, 'utf8').catch(() => '')
    return /\) (\w)/.exec(stat)?.[1] ?? 'T'
  })
  return (await Promise.all(states)).every(state => state === 'T')
}

/** It listens once it has written where to MEMCACHED_PORT_FILENAME (memcached.c). */
async function launch(port: number, flags: readonly string[]): Promise<ChildProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'memcached-'))
  const file = join(folder, 'port')
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  if (user.length > 0) await chmod(folder, 0o777)
  // Where the flags name other addresses, those get a port that the system picks (`-p -1`).
  const listen = ['-l', `127.0.0.1:${port}`, '-p', '-1', '-U', '0']
  const child = spawn('memcached', [...listen, ...user, ...flags], {
    env: { ...process.env, MEMCACHED_PORT_FILENAME: file },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr?.on('data', chunk => {
    complaint += chunk
  })
  const killed = (): boolean => child.kill('SIGKILL')
  process.once('exit', killed)
  child.once('exit', () => process.off('exit', killed))
  try {
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`memcached ended with ${child.exitCode}: ${complaint}`)
      return (await readFile(file, 'utf8').catch(() => '')).includes('TCP INET')
    })
    return child
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
