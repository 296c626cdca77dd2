/**
 * An application that waits for nothing. Makes the calls that its arguments name, each in a request that
 * has loaded its session, when its parent has stopped memcached and says so; then ends by itself.
 */
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler } from 'express'
import session from 'express-session'
import { MemcachedStore } from '../../lib/index.ts'
import { until } from '../support/until.ts'
import { CALLS } from './nobody-waits.calls.ts'

const [servers = '', ...names] = process.argv.slice(2)
const store = new MemcachedStore({ servers, timeout: 250, touchAfter: 0, userOf: () => 'ada' })
const struck = once(process, 'message')
let loaded = 0

const app = express()
app.use(session({ store, secret: 'test', resave: false, saveUninitialized: false, unset: 'destroy' }))
app.get('/login', (req, res) => {
  Object.assign(req.session, { user: 'ada' })
  res.send('in')
})
app.get('/', async (req, res) => {
  loaded++
  await struck
  CALLS[String(req.query.call)]?.(store, req)
  res.send('done')
})
const hide: ErrorRequestHandler = (_error, _req, res, _next) => {
  res.destroy()
}
app.use(hide)
const listener = app.listen(0, '127.0.0.1')
await once(listener, 'listening')
const { port } = listener.address() as AddressInfo
const agent = new Agent({ maxSockets: 100 })

/** Ends when the answer, or its failure, is all there. */
async function ask(path: string, cookie = ''): Promise<IncomingMessage | undefined> {
  const request = get({ port, path, agent, headers: { cookie } })
  const [response] = await once(request, 'response').catch(() => [])
  response?.resume()
  if (response !== undefined) await once(response, 'close').catch(() => {})
  return response
}

const cookie = (await ask('/login'))?.headers['set-cookie']?.[0]?.split(';')[0]
const answers = names.map(name => ask(`/?call=${encodeURIComponent(name)}`, cookie))
await until(() => loaded === names.length)
process.send?.('loaded')
await Promise.all(answers)
// What listens longest began before this does.
await Promise.allSettled([store.length(), store.stats()])
await store.close()
listener.close()
process.disconnect()
