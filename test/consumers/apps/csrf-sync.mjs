import { csrfSync } from 'csrf-sync'
import express from 'express'
import session from 'express-session'
import { MemcachedStore } from 'express-session-memcached'
import { tell } from './gate.cjs'
import { addRoutes } from './routes.cjs'

const { generateToken, csrfSynchronisedProtection } = csrfSync()
const app = express()
const store = new MemcachedStore({ prefix: process.env.PREFIX, timeout: 5000 })
app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }))
app.get('/token', (req, res) => res.json(generateToken(req)))
app.use(csrfSynchronisedProtection)
app.post('/order', (req, res) => {
  req.session.orders = (req.session.orders ?? 0) + 1
  res.json(req.session.orders)
})
addRoutes(app)
const server = app.listen(0, '127.0.0.1', () => tell(server))
