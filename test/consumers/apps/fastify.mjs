import fastifyCookie, { fastifyCookie as cookies } from '@fastify/cookie'
import fastifySession from '@fastify/session'
import { MemcachedStore } from 'express-session-memcached'
import { withRevisions } from 'express-session-memcached/fastify'
import Fastify from 'fastify'
import { Server } from 'socket.io'
import { pass, tell } from './gate.cjs'

const app = Fastify()
const store = new MemcachedStore({ prefix: process.env.PREFIX, timeout: 5000 })
const plugin = process.env.PLAIN === '1' ? fastifySession : withRevisions(fastifySession)
app.register(fastifyCookie)
app.register(plugin, {
  store,
  secret: 'a secret with at least 32 characters',
  cookie: { secure: false, maxAge: 600_000 },
  saveUninitialized: false,
})
app.get('/login', async req => {
  await req.session.regenerate()
  req.session.user = req.query.user
  return req.session
})
app.get('/logout', async req => {
  await req.session.destroy()
  return {}
})
app.get('/edit', async req => {
  await pass()
  req.session[req.query.key] = true
  return req.session
})
app.get('/edit-twice', async req => {
  req.session.first = true
  await req.session.save()
  await pass()
  delete req.session.old
  req.session.second = true
  return req.session
})
app.get('/reload', async req => {
  await pass()
  await req.session.reload()
  req.session[req.query.key] = true
  return req.session
})
app.get('/session', async req => req.session)
app.get('/counts', async () => (await store.stats()).counts)

const io = new Server(app.server, { transports: ['websocket'] })
io.use((socket, next) => {
  const { sessionId = '' } = cookies.parse(socket.request.headers.cookie ?? '')
  app.decryptSession(sessionId, socket.request, next)
})
io.on('connection', socket => {
  const req = socket.request
  socket.on('edit', async (key, done) => {
    await req.session.reload()
    if (req.session.user === undefined) return done('gone')
    req.session[key] = true
    await req.session.save()
    done('saved')
  })
  socket.on('edit without reload', async (key, done) => {
    req.session[key] = true
    await req.session.save()
    done('saved')
  })
})
await app.listen({ port: 0, host: '127.0.0.1' })
tell(app.server)
