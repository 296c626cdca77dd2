import express from 'express'
import session from 'express-session'
import { MemcachedStore } from 'express-session-memcached'
import { tell } from './gate.cjs'
import { addRoutes } from './routes.cjs'

const app = express()
const store = new MemcachedStore({ prefix: process.env.PREFIX, timeout: 5000 })
app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }))
addRoutes(app)
const server = app.listen(0, '127.0.0.1', () => tell(server))
