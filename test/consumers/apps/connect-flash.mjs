import flash from 'connect-flash'
import express from 'express'
import session from 'express-session'
import { MemcachedStore } from 'express-session-memcached'
import { pass, tell } from './gate.cjs'
import { addRoutes } from './routes.cjs'

const app = express()
const store = new MemcachedStore({ prefix: process.env.PREFIX, timeout: 5000 })
app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }))
app.use(flash())
app.get('/leave', (req, res) => {
  req.flash('info', req.query.message)
  res.redirect('/read')
})
app.get('/leave-late', async (req, res) => {
  await pass()
  req.flash(req.query.kind, req.query.message)
  res.json(null)
})
app.get('/read-all', (req, res) => res.json(req.flash()))
app.get('/read', (req, res) => res.json(req.flash('info')))
addRoutes(app)
const server = app.listen(0, '127.0.0.1', () => tell(server))
