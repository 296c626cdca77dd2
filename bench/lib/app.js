// An Express app with one of the stores, in a process of its own; 'none' is the same without sessions.

import express from 'express'
import session from 'express-session'
import { contenders } from '../contenders.js'
import { newSession } from './sessions.js'

const [name, port] = process.argv.slice(2)
const app = express()
app.disable('x-powered-by')
app.disable('etag')

if (name !== 'none') {
  const { store } = await contenders[name].open(Number(port))
  const cookie = { maxAge: 86_400_000 }
  app.use(session({ store, secret: 'bench', resave: false, saveUninitialized: false, cookie }))
}

/** What the handlers use of a session. @typedef {Record<string, any>} Data */
const dataOf = (/** @type {any} */ req) => /** @type {Data} */ (req.session ?? {})
let count = 0

app.get('/login', (req, res) => {
  const { cookie: _cookie, ...data } = newSession(361, count++)
  Object.assign(dataOf(req), data)
  res.send('in')
})
app.get('/logout', (req, res, next) => {
  req.session.destroy(error => (error ? next(error) : res.send('out')))
})
app.get('/read', (req, res) => {
  res.send(dataOf(req).user === undefined ? 'nobody' : 'in')
})
app.get('/write', (req, res) => {
  dataOf(req).views = 1_000 + (count++ % 9_000)
  res.send('in')
})
app.get('/keys', (req, res) => {
  res.json(Object.keys(dataOf(req)))
})

/** Requests that have read their session and wait here, so that they are sure to overlap. */
let held = /** @type {(() => void)[]} */ ([])
app.get('/hold/:key', (req, res) => {
  held.push(() => {
    dataOf(req)[req.params.key] = true
    res.send('in')
  })
})

/** How many of them failed since this was asked last, also where the answer is on its way: that ends as it began. */
let failed = 0
app.use('/hold', (/** @type {unknown} */ error, _req, res, next) => {
  failed++
  if (!res.headersSent) next(error)
})

// Express writes the stack of an error to the console, except in a test.
app.set('env', 'test')

const server = app.listen(0, '127.0.0.1', () => {
  process.send?.({ result: /** @type {import('node:net').AddressInfo} */ (server.address()).port })
})

process.on('message', (/** @type {any} */ { task }) => {
  if (task === 'cpu') process.send?.({ result: process.cpuUsage() })
  if (task === 'failed') {
    process.send?.({ result: failed })
    failed = 0
  }
  if (task === 'held') process.send?.({ result: held.length })
  if (task === 'release') {
    const ready = held
    held = []
    for (const go of ready) go()
    process.send?.({ result: ready.length })
  }
})
process.on('disconnect', () => process.exit())
