import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from '../support/port.ts'
import { until } from '../support/until.ts'

/** An app of the documentation: a file that takes its port from the environment. */
export class PastedApp {
  readonly url: string
  readonly #child: ChildProcess
  #said = ''

  private constructor(port: number, child: ChildProcess) {
    this.url = `http://127.0.0.1:${port}/`
    this.#child = child
    child.stderr?.on('data', text => {
      this.#said += text
    })
  }

  static async start(folder: string, file: string, env: NodeJS.ProcessEnv = {}): Promise<PastedApp> {
    const port = await freePort()
    const child = spawn(process.execPath, [file], {
      cwd: folder,
      env: { ...process.env, PORT: String(port), ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const app = new PastedApp(port, child)
    await until(() => {
      if (child.exitCode !== null) throw new Error(app.#said)
      return fetch(app.url, { method: 'OPTIONS' }).catch(() => undefined)
    })
    return app
  }

  async visit(cookie = ''): Promise<{ text: string; cookie: string }> {
    const response = await fetch(this.url, { headers: { cookie } })
    const given = response.headers.get('set-cookie')?.split(';')[0]
    return { text: await response.text(), cookie: given ?? cookie }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill()
    await gone
  }
}
