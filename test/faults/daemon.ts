import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { FLAGS } from '../support/memcached.ts'
import { until } from '../support/until.ts'

/** A memcached with flags that `Memcached.start` has no place for: it listens where the flags say. */
export class Daemon implements AsyncDisposable {
  readonly #process: ChildProcess

  private constructor(process: ChildProcess) {
    this.#process = process
  }

  /** @param path - of its socket, by which its readiness is seen. */
  static async start(flags: string[], path: string): Promise<Daemon> {
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
    const child = spawn('memcached', [...FLAGS, ...flags, ...user], { stdio: 'ignore' })
    const killed = (): boolean => child.kill('SIGKILL')
    process.once('exit', killed)
    child.once('exit', () => process.off('exit', killed))
    const daemon = new Daemon(child)
    await until(async () => {
      const socket = connect(path)
      const [event] = await Promise.race([
        once(socket, 'connect').then(() => ['connect']),
        once(socket, 'error').then(() => ['error']),
      ]).catch(() => ['error'])
      socket.destroy()
      return event === 'connect'
    })
    return daemon
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}
