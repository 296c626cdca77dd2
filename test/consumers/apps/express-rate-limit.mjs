import express from 'express'
import { rateLimit } from 'express-rate-limit'
import session from 'express-session'
import { MemcachedStore } from 'express-session-memcached'
import { tell } from './gate.cjs'
import { addRoutes } from './routes.cjs'

const app = express()
const store = new MemcachedStore({ prefix: process.env.PREFIX, timeout: 5000 })
app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }))
app.use('/limited', rateLimit({ limit: 3, windowMs: 3_600_000, keyGenerator: req => req.sessionID }))
app.get('/limited', (req, res) => {
  req.session.visits = (req.session.visits ?? 0) + 1
  res.json(req.session.visits)
})
addRoutes(app)
const server = app.listen(0, '127.0.0.1', () => tell(server))
