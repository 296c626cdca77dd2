import express, { type ErrorRequestHandler, type Express } from 'express'
import session, { type Store } from 'express-session'
import { destroySession } from '../session/access.ts'
import { GuestStore } from './guest-store.ts'

declare module 'express-session' {
  interface SessionData {
    /** Of the overlap test, by the number of the request. */
    updates?: Record<string, true>
  }
}

interface Options {
  readonly store: Store
  readonly secret: string
  /** Waits for all the others. */
  readonly arrive: () => Promise<void>
}

/** An ordinary app with one session that many requests change. */
export function contestApp({ store, secret, arrive }: Options): Express {
  const app = express()
  app.use(
    session({
      store: new GuestStore(store),
      secret,
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 60_000 },
    }),
  )
  app.post('/start', (req, res) => {
    req.session.updates = {}
    res.send(req.sessionID)
  })
  app.post('/updates/:n', async (req, res) => {
    await arrive()
    req.session.updates = { ...req.session.updates, [req.params.n]: true }
    res.end()
  })
  app.post('/end', async (req, res) => {
    await destroySession(req)
    res.end()
  })
  const onError: ErrorRequestHandler = (error, req, res, next) => {
    if (res.headersSent) {
      next(error)
      return
    }
    // The others are not to wait for one that could not read.
    if (req.path.startsWith('/updates/')) void arrive()
    res.status((error as { status?: number }).status ?? 500).send((error as Error).message)
  }
  app.use(onError)
  return app
}
