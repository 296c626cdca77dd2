import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import session, { type SessionData } from 'express-session'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { type BackingPlace, type ConnectedStore, connectBacking } from '../support/backing-stores.ts'
import { SEALING } from '../support/sealing.ts'
import { setPath } from './paths.ts'

/** What a request does after its session has been loaded, step by step. `wait` holds it until {@link Gate.open}. */
export type Step =
  | readonly ['wait']
  | readonly ['set', path: string, value: unknown]
  | readonly ['delete', path: string]
  | readonly ['save']
  | readonly ['reload']
  | readonly ['destroy']
  | readonly ['regenerate']
  | readonly ['increment', key: string]

/** Survives JSON, for apps in other processes. */
export interface AppOptions {
  /** `'memory'` is express-session's own MemoryStore. */
  readonly store: MemcachedStoreOptions | 'memory'
  /** A durable store behind it. */
  readonly backing?: BackingPlace
  readonly resave?: boolean
  /** Milliseconds; none is a cookie without a date. */
  readonly maxAge?: number
}

/** What the app answers. */
export interface Answer {
  readonly sid: string
  readonly session: Record<string, unknown> | null
}

/** Holds requests until it is opened, so that an overlap is certain and needs no sleep. */
export class Gate {
  #held: (() => void)[] = []
  readonly #onChange: (waiting: number) => void

  constructor(onChange: (waiting: number) => void = () => {}) {
    this.#onChange = onChange
  }

  get waiting(): number {
    return this.#held.length
  }

  pass(): Promise<void> {
    return new Promise(resolve => {
      this.#held.push(resolve)
      this.#onChange(this.waiting)
    })
  }

  open(): void {
    const held = this.#held
    this.#held = []
    this.#onChange(0)
    for (const resolve of held) resolve()
  }
}

/** An Express app whose requests say what is to be done with their session: `/?steps=[…]`. */
export class ScriptedApp implements AsyncDisposable {
  readonly gate: Gate
  readonly store: session.Store
  /** Codes of what went wrong, also where the answer had left before. */
  readonly failures: readonly unknown[]
  readonly #server: Server
  readonly #backing: ConnectedStore | undefined

  private constructor(
    server: Server,
    store: session.Store,
    gate: Gate,
    failures: readonly unknown[],
    backing: ConnectedStore | undefined,
  ) {
    this.#server = server
    this.#backing = backing
    this.store = store
    this.gate = gate
    this.failures = failures
  }

  static async start(options: AppOptions, gate: Gate = new Gate()): Promise<ScriptedApp> {
    const backing = options.backing && (await connectBacking(options.backing))
    const store =
      options.store === 'memory'
        ? new session.MemoryStore()
        : new MemcachedStore({ ...SEALING, ...options.store, backing: backing?.store })
    const app = express()
    app.set('etag', false)
    app.set('query parser', 'simple')
    const cookie = options.maxAge === undefined ? {} : { maxAge: options.maxAge }
    const { resave = false } = options
    app.use(session({ store, resave, cookie, secret: 'test', saveUninitialized: false }))
    app.use(follow(gate))
    const failures: unknown[] = []
    const showStatus: ErrorRequestHandler = (error, _req, res, _next) => {
      failures.push(error.code)
      if (res.headersSent) res.destroy()
      else res.status(error.status ?? 500).json({ code: error.code, message: error.message })
    }
    app.use(showStatus)
    // No end of idle connections: it would meet requests on their way.
    const server = createServer({ keepAliveTimeout: 0 }, app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new ScriptedApp(server, store, gate, failures, backing)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  get waiting(): number {
    return this.gate.waiting
  }

  open(): void {
    this.gate.open()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    if (this.store instanceof MemcachedStore) await this.store.close()
    await this.#backing?.[Symbol.asyncDispose]()
  }
}

function follow(gate: Gate): RequestHandler {
  return async (req, res) => {
    const called = (method: 'save' | 'reload' | 'destroy' | 'regenerate'): Promise<void> =>
      new Promise((resolve, reject) => {
        req.session[method]((error: unknown) => (error == null ? resolve() : reject(error)))
      })
    for (const step of JSON.parse(String(req.query.steps)) as Step[]) {
      const [verb] = step
      const data = req.session as unknown as Record<string, unknown>
      if (verb === 'wait') await gate.pass()
      else if (verb === 'set') setPath(data, step[1], step[2])
      else if (verb === 'delete') setPath(data, step[1], undefined)
      else if (verb === 'increment') await increment(req.sessionStore, req.sessionID, step[1])
      else await called(verb)
    }
    const answer: Answer = { sid: req.sessionID, session: (req.session ?? null) as never }
    res.json(answer)
  }
}

async function increment(store: unknown, sid: string, key: string): Promise<void> {
  await (store as MemcachedStore).update(sid, (current: SessionData) => {
    const data = current as unknown as Record<string, number>
    data[key] = (data[key] ?? 0) + 1
  })
}
