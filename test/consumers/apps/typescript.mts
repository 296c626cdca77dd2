import { createServer } from 'node:http'
import express from 'express'
import session from 'express-session'
import { MemcachedStore, type MemcachedStoreOptions } from 'express-session-memcached'
import { pass, tell } from './gate.cjs'

declare module 'express-session' {
  interface SessionData {
    user?: string
    [key: `key-${number}`]: boolean
  }
}

const options: MemcachedStoreOptions = {
  prefix: process.env.PREFIX,
  timeout: 5000,
  userOf: ({ user }) => user,
}
const app = express()
app.use(
  session({ store: new MemcachedStore(options), secret: 'secret', resave: false, saveUninitialized: false }),
)
app.get('/login', (req, res, next) => {
  req.session.regenerate(error => {
    if (error) return next(error)
    req.session.user = String(req.query.user)
    res.json(req.session)
  })
})
app.get('/logout', (req, res, next) => {
  req.session.destroy(error => (error ? next(error) : res.json(null)))
})
app.get('/edit', async (req, res) => {
  await pass()
  req.session[req.query.key as `key-${number}`] = true
  res.json(req.session)
})
app.get('/session', (req, res) => void res.json(req.session))
const server = createServer(app).listen(0, '127.0.0.1', () => tell(server))
