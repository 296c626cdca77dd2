import { createServer } from 'node:http'
import express from 'express'
import session from 'express-session'
import { MemcachedStore } from 'express-session-memcached'
import { Server } from 'socket.io'
import { tell } from './gate.cjs'
import { addRoutes } from './routes.cjs'

const app = express()
const store = new MemcachedStore({ prefix: process.env.PREFIX, timeout: 5000 })
const sessions = session({ store, secret: 'secret', resave: false, saveUninitialized: false })
app.use(sessions)
addRoutes(app)
const server = createServer(app)
const io = new Server(server, { transports: ['websocket'] })
io.engine.use(sessions)
io.on('connection', socket => {
  const req = socket.request
  socket.on('edit', (key, done) => {
    req.session.reload(error => {
      if (error) return done('gone')
      req.session[key] = true
      req.session.save(failure => done(failure ? failure.message : 'saved'))
    })
  })
  socket.on('edit without reload', (key, done) => {
    req.session[key] = true
    req.session.save(failure => done(failure ? failure.message : 'saved'))
  })
})
server.listen(0, '127.0.0.1', () => tell(server))
