import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import session, { type SessionData, type SessionOptions } from 'express-session'
import { type LockOptions, MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { Gate } from '../overlap/scripted-app.ts'
import { SEALING } from '../support/sealing.ts'

type Data = SessionData & { views?: number; [key: string]: unknown }

/** Survives JSON, for apps in other processes. */
export interface LockingAppOptions {
  readonly store: MemcachedStoreOptions
  readonly lock?: LockOptions
  readonly session?: Pick<SessionOptions, 'resave' | 'rolling' | 'cookie'>
}

/** An app whose routes below `/exclusive` do not overlap within a session; the same routes exist without. */
export class LockingApp implements AsyncDisposable {
  readonly store: MemcachedStore
  readonly gate: Gate = new Gate()
  /** Requests that have loaded their session, in their order. */
  readonly loaded: string[] = []
  /** The signals of requests that came in, in their order. */
  readonly signals: (AbortSignal | undefined)[] = []
  readonly #server: Server

  private constructor(server: Server, store: MemcachedStore) {
    this.#server = server
    this.store = store
  }

  static async start({ store: options, lock, session: more }: LockingAppOptions): Promise<LockingApp> {
    const store = new MemcachedStore({ ...SEALING, ...options })
    const app = express()
    const locking = new LockingApp(createServer(app), store)
    app.set('etag', false)
    app.get('/no-session', store.exclusive(lock), (_req, res) => void res.json({}))
    app.use(session({ store, secret: 'test', resave: false, saveUninitialized: false, ...more }))
    app.use((req, _res, next) => {
      locking.loaded.push(req.originalUrl)
      next()
    })
    app.get('/edited/exclusive', edit, store.exclusive(lock), locking.#gate, show)
    app.get('/twice/exclusive', store.exclusive(lock), store.exclusive(lock), show)
    app.use('/exclusive', store.exclusive(lock))
    for (const base of ['', '/exclusive']) {
      app.get(`${base}/views`, view, show)
      app.get(`${base}/set/:key/:value`, set, show)
      app.get(`${base}/gate/set/:key/:value`, locking.#gate, set, show)
      app.get(`${base}/gate`, locking.#gate, show)
      app.get(`${base}/logout`, logout, show)
      app.get(`${base}/regenerate`, regenerate, view, show)
      app.get(`${base}/throw`, () => {
        throw new Error('handler')
      })
      app.get(`${base}/never`, locking.#gate)
      app.get(`${base}/stream`, view, stream)
    }
    const fail: ErrorRequestHandler = (error, _req, res, _next) => {
      res.status(error.status ?? 500).json({ code: error.code })
    }
    app.use(fail)
    // No end of idle connections: it would meet requests on their way.
    locking.#server.keepAliveTimeout = 0
    locking.#server.listen(0, '127.0.0.1')
    await once(locking.#server, 'listening')
    return locking
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  readonly #gate: RequestHandler = async (req, _res, next) => {
    this.signals.push(req.exclusive)
    await this.gate.pass()
    next()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await this.store.close()
  }
}

const show: RequestHandler = (req, res) => {
  res.json({ ...req.session, cookie: undefined })
}

/** Reads, lets others run, and writes: two that overlap count as one. */
const view: RequestHandler = async (req, _res, next) => {
  const data = req.session as unknown as Data
  const before = data.views ?? 0
  await nextTurn()
  data.views = before + 1
  next()
}

const set: RequestHandler<{ key: string; value: string }> = (req, _res, next) => {
  const data = req.session as unknown as Data
  data[req.params.key] = req.params.value
  next()
}

const edit: RequestHandler = (req, _res, next) => {
  const data = req.session as unknown as Data
  data.edited = true
  next()
}

const logout: RequestHandler = (req, _res, next) => {
  req.session.destroy(next)
}

const regenerate: RequestHandler = (req, _res, next) => {
  req.session.regenerate(next)
}

const stream: RequestHandler = (_req, res) => {
  res.write('a')
  setImmediate(() => res.end('b'))
}
