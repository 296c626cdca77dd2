import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { answers } from './ask.ts'
import type { OwnServer } from './own-server.ts'

const FLAGS = ['-m', '100', '-c', '1000', '-l', '127.0.0.1', '-U', '0']
const START_TIMEOUT = 5000

/** A memcached process that this app started and ends. */
export class Daemon implements OwnServer {
  readonly address: string
  #process: ChildProcess
  #starting: Promise<void> | undefined

  private constructor(address: string, process: ChildProcess) {
    this.address = address
    this.#process = process
  }

  /** Starts `memcached` from the PATH on a free port; undefined where there is none. */
  static async start(): Promise<Daemon | undefined> {
    const address = `127.0.0.1:${await freePort()}`
    const process = await launch(address)
    return process && new Daemon(address, process)
  }

  async stop(): Promise<void> {
    if (this.#hasEnded()) return
    const gone = once(this.#process, 'exit')
    // Nothing else may keep this process waiting for it.
    this.#process.ref()
    this.#process.kill('SIGKILL')
    await gone
  }

  bringBack(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }

  async #start(): Promise<void> {
    if (this.#hasEnded()) this.#process = (await launch(this.address)) ?? this.#process
  }

  #hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null
  }
}

async function launch(address: string): Promise<ChildProcess | undefined> {
  // memcached refuses to run as root.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const child = spawn('memcached', ['-p', new URL(`tcp://${address}`).port, ...user, ...FLAGS], {
    stdio: 'ignore',
    // A Ctrl+C in the terminal is for the app; it ends its memcached when it has ended itself.
    detached: true,
  })
  const failed = once(child, 'error').then(([error]) => error as NodeJS.ErrnoException)
  const error = await Promise.race([failed, once(child, 'spawn').then(() => undefined)])
  // None there, or one that this user may not run.
  if (error?.code === 'ENOENT' || error?.code === 'EACCES') return undefined
  if (error !== undefined) throw error
  process.once('exit', () => child.kill('SIGKILL'))
  const deadline = Date.now() + START_TIMEOUT
  while (!(await answers(address))) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`memcached did not start on ${address} (exit code ${child.exitCode})`)
    await pause(20)
  }
  child.unref()
  return child
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
