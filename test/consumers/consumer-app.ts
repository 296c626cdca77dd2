import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { io, type Socket } from 'socket.io-client'
import { until } from '../support/until.ts'

/** One of `apps/`, in a process of its own. */
export class ConsumerApp implements AsyncDisposable {
  /** Requests that stand before its gate. */
  waiting = 0
  url = ''
  readonly #child: ChildProcess
  #said = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    child.stderr?.on('data', text => {
      this.#said += text
    })
    child.on('message', (message: { waiting?: number; url?: string }) => {
      this.url = message.url ?? this.url
      this.waiting = message.waiting ?? this.waiting
    })
  }

  static async start(file: string, servers: string, env: NodeJS.ProcessEnv = {}): Promise<ConsumerApp> {
    const child = fork(file, {
      env: { ...process.env, MEMCACHED_SERVERS: servers, PREFIX: `${randomUUID()}:`, ...env },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    const app = new ConsumerApp(child)
    await until(() => {
      if (child.exitCode !== null) throw new Error(app.#said)
      return app.url
    }, 60_000)
    return app
  }

  open(): void {
    this.waiting = 0
    this.#child.send({})
  }

  /** Waits until so many requests have loaded their session. */
  loaded(count: number): Promise<unknown> {
    return until(() => this.waiting === count, 60_000)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

/** A browser, with its one cookie. */
export class Browser {
  readonly #app: ConsumerApp
  cookie = ''

  constructor(app: ConsumerApp) {
    this.#app = app
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...init.headers, ...(this.cookie === '' ? {} : { cookie: this.cookie }) }
    const response = await fetch(this.#app.url + path, { redirect: 'manual', ...init, headers })
    this.cookie = response.headers.get('set-cookie')?.split(';')[0] ?? this.cookie
    return response
  }

  /** What a page answers, which is JSON. Throws unless the status is 200. */
  async get(path: string): Promise<Record<string, unknown>> {
    const response = await this.fetch(path)
    const text = await response.text()
    if (response.status !== 200) throw new Error(`${path}: status ${response.status}: ${text}`)
    return JSON.parse(text)
  }

  /** Another tab: the cookie may change in one of them. */
  tab(): Browser {
    const tab = new Browser(this.#app)
    tab.cookie = this.cookie
    return tab
  }

  connect(): Promise<Socket> {
    return connect(this.#app.url, this.cookie)
  }
}

/** A socket of who has this cookie. */
export async function connect(url: string, cookie: string): Promise<Socket> {
  const socket = io(url, { transports: ['websocket'], extraHeaders: { cookie }, forceNew: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('connect_error', reject)
  })
  return socket
}

const REQUESTS = 50
const ROUNDS = 5

/** How many of 250 keys are kept that 50 overlapping requests of one visitor have set, five times. */
export async function keptUpdates(app: ConsumerApp): Promise<number> {
  let kept = 0
  for (let round = 0; round < ROUNDS; round++) {
    const browser = new Browser(app)
    await browser.get('/login?user=ada&username=ada&password=right')
    const keys = Array.from({ length: REQUESTS }, (_, number) => `key-${number}`)
    const edits = keys.map(key => browser.tab().get(`/edit?key=${key}`))
    await app.loaded(REQUESTS)
    app.open()
    await Promise.all(edits)
    const session = await browser.get('/session')
    kept += keys.filter(key => session[key] === true).length
  }
  return kept
}

/** How many of five logouts a request undoes that loaded its session before, and saves it after. */
export async function undoneLogouts(app: ConsumerApp, slow = '/edit?key=slow'): Promise<number> {
  let undone = 0
  for (let round = 0; round < ROUNDS; round++) {
    const browser = new Browser(app)
    await browser.get('/login?user=ada&username=ada&password=right')
    const thief = browser.tab()
    const late = browser.tab().get(slow)
    await app.loaded(1)
    await browser.get('/logout')
    app.open()
    await late
    const session = await thief.get('/session')
    undone += Number('user' in session || 'passport' in session || 'slow' in session)
  }
  return undone
}
