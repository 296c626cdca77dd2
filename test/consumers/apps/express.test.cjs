const express = require('express')
const session = require('express-session')
const { MemcachedStore } = require('express-session-memcached')
const { EmbeddedMemcached } = require('express-session-memcached/embedded')

let memcached, store, server

beforeAll(async () => {
  memcached = await EmbeddedMemcached.start()
  store = new MemcachedStore({ servers: memcached.address })
  const app = express()
  app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }))
  app.get('/', (req, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1
    res.json(req.session.visits)
  })
  await new Promise(resolve => {
    server = app.listen(0, '127.0.0.1', resolve)
  })
})

afterAll(async () => {
  await new Promise(resolve => server.close(resolve))
  await store.close()
  await memcached.stop()
})

test('counts visits', async () => {
  const url = `http://127.0.0.1:${server.address().port}`
  const first = await fetch(url, { headers: { connection: 'close' } })
  expect(await first.json()).toBe(1)
  const cookie = first.headers.get('set-cookie').split(';')[0]
  const second = await fetch(url, { headers: { cookie, connection: 'close' } })
  expect(await second.json()).toBe(2)
})
