import express from 'express'
import session from 'express-session'
import { MemcachedStore } from 'express-session-memcached'

declare module 'express-session' {
  interface SessionData {
    views: number
  }
}

const app = express()
const store = new MemcachedStore() // MEMCACHED_SERVERS, or localhost:11211
app.use(session({ store, secret: 'change me', resave: false, saveUninitialized: false }))
app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.send(`You have been here ${req.session.views} times`)
})
app.listen(process.env.PORT ?? 3000)
