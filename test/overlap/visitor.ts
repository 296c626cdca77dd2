import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { programOf } from '../support/programs.ts'
import { until } from '../support/until.ts'
import type { Answer, AppOptions, Step } from './scripted-app.ts'

/** An app in this process or in another. */
export interface App extends AsyncDisposable {
  readonly url: string
  /** Requests that stand before the gate. */
  readonly waiting: number
  /** Lets them go on. */
  open(): void
}

/** A scripted app in a process of its own. */
export class ChildApp implements App {
  waiting = 0
  url = ''
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (message: { waiting?: number; url?: string }) => {
      this.url = message.url ?? this.url
      this.waiting = message.waiting ?? this.waiting
    })
  }

  static async start(options: AppOptions): Promise<ChildApp> {
    const file = programOf(new URL('app.child.ts', import.meta.url))
    const app = new ChildApp(fork(file, [JSON.stringify(options)]))
    await until(() => {
      if (app.#child.exitCode !== null) throw new Error(`The app ended with ${app.#child.exitCode}`)
      return app.url
    }, 25_000)
    return app
  }

  open(): void {
    this.#child.send({})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

const agent = new Agent({ keepAlive: true, maxSockets: 128 })

/** A browser: has one cookie, and asks for whatever is to be done with its session. */
export class Visitor {
  cookie = ''

  /** Throws unless the app answers with status 200. */
  async ask(app: App, ...steps: Step[]): Promise<Answer> {
    const { status, body } = await this.fetch(app, ...steps)
    if (status !== 200) throw new Error(`Status ${status}: ${body}`)
    return JSON.parse(body) as Answer
  }

  fetch(app: App, ...steps: Step[]): Promise<{ status: number; body: string }> {
    const url = `${app.url}?steps=${encodeURIComponent(JSON.stringify(steps))}`
    const headers = this.cookie === '' ? {} : { cookie: this.cookie }
    return new Promise((resolve, reject) => {
      const request = get(url, { agent, headers }, async response => {
        try {
          const cookie = response.headers['set-cookie']?.[0]?.split(';')[0]
          if (cookie !== undefined) this.cookie = cookie
          let body = ''
          response.setEncoding('utf8')
          for await (const chunk of response) body += chunk
          resolve({ status: response.statusCode as number, body })
        } catch (error) {
          reject(error)
        }
      })
      request.on('error', reject)
    })
  }

  /** Requests that overlap for certain: all have loaded the session before any goes on. By turns to the apps. */
  async overlap(apps: readonly App[], scripts: readonly Step[][]): Promise<Answer[]> {
    const answers = this.start(apps, scripts)
    await loaded(apps, scripts.length)
    for (const app of apps) app.open()
    return Promise.all(answers)
  }

  /** Requests that load the session and stop at the gate, before their steps. */
  start(apps: readonly App[], scripts: readonly Step[][]): Promise<Answer>[] {
    // The cookie may change meanwhile; these are other tabs.
    return scripts.map((steps, index) => this.tab().ask(apps[index % apps.length] as App, ['wait'], ...steps))
  }

  tab(): Visitor {
    const tab = new Visitor()
    tab.cookie = this.cookie
    return tab
  }
}

/** Waits until so many requests stand before the gates. */
export function loaded(apps: readonly App[], count: number): Promise<unknown> {
  return until(() => apps.reduce((sum, app) => sum + app.waiting, 0) === count)
}
