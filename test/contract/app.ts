import type express5 from 'express'
import type { Express, Request, Response } from 'express'
import session, { type SessionData, type SessionOptions, type Store } from 'express-session'

/** In milliseconds. */
export const MINUTE = 60_000

/** An application that does to a session, one route each, whatever an application can do. */
export function createApp(express: typeof express5, store: Store, options: Partial<SessionOptions>): Express {
  const app = express()
  app.use(express.json())
  app.use(
    session({ store, secret: 'a secret of the tests', resave: false, saveUninitialized: false, ...options }),
  )
  app.get('/', show)
  app.post('/', (req, res) => {
    Object.assign(req.session, req.body)
    show(req, res)
  })
  app.post('/delete/:key', (req, res) => {
    delete (req.session as unknown as Record<string, unknown>)[req.params.key]
    show(req, res)
  })
  app.post('/sign-in', (req, res, next) => {
    req.session.regenerate(error => {
      if (error) return next(error)
      Object.assign(req.session, req.body)
      show(req, res)
    })
  })
  app.post('/sign-out', (req, res, next) => {
    req.session.destroy(error => (error ? next(error) : res.json({})))
  })
  app.post('/reload', (req, res, next) => {
    Object.assign(req.session, req.body)
    req.session.reload(error => (error ? next(error) : show(req, res)))
  })
  app.post('/save', (req, res, next) => {
    Object.assign(req.session, req.body)
    req.session.save(error => {
      if (error) return next(error)
      store.get(req.sessionID, (_, seen) => {
        Object.assign(req.session, { saved: true })
        res.json({ id: req.sessionID, seen })
      })
    })
  })
  app.post('/remember', (req, res) => {
    req.session.cookie.maxAge = 60 * MINUTE
    show(req, res)
  })
  app.post('/unset', (req, res) => {
    ;(req as { session: unknown }).session = null
    res.json({})
  })
  return app
}

function show(req: Request, res: Response): void {
  const { cookie, ...data } = req.session as SessionData
  res.json({ ...data, id: req.sessionID })
}
