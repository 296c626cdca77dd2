import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type RequestHandler } from 'express'
import session, { type SessionData } from 'express-session'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { Browser } from '../locks/browser.ts'

const memcached = inject('memcached')

// Runs what docs/users-and-locks.md shows, as it stands there.
describe.skipIf(memcached === null)('docs/users-and-locks.md', () => {
  let store: MemcachedStore
  let server: Server
  let url: string
  let withLock: (sid: string, rotate: (token: string) => Promise<string>) => Promise<void>
  const charged: unknown[] = []

  beforeAll(async () => {
    const text = await readFile(new URL('../../docs/users-and-locks.md', import.meta.url), 'utf8')
    const [users, exclusive, lock] = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(
      ([, code]) => code as string,
    )

    const prefix = `docs-${randomUUID()}:`
    class Store extends MemcachedStore {
      constructor(options: MemcachedStoreOptions) {
        super({ servers: memcached as string, prefix, ...options })
      }
    }
    const app = express()
    const late = express.Router()
    app.use((req, res, next) => sessions(req, res, next), late)
    late.get('/login/:user', change)
    const charge = async (cart: unknown): Promise<void> => {
      charged.push(cart)
    }
    store = new Function('MemcachedStore', 'app', 'charge', `${users}${exclusive}return store`)(
      Store,
      late,
      charge,
    )
    withLock = new Function('store', `return async (sid, rotate) => {${lock}}`)(store)
    const sessions: RequestHandler = session({
      store,
      secret: 'test',
      resave: false,
      saveUninitialized: false,
    })
    server = createServer(app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    server.closeAllConnections()
    server.close()
    await store.close()
  })

  const change: RequestHandler<{ user: string }> = (req, res) => {
    Object.assign(req.session, { user: req.params.user, cart: ['book'], token: 'old', ...req.query })
    res.json({})
  }

  async function login(browser: string): Promise<Browser> {
    const visitor = new Browser()
    await visitor.open(`${url}/login/ann?browser=${browser}`)
    return visitor
  }

  function post(path: string, { cookie }: Browser): Promise<Response> {
    return fetch(url + path, { method: 'POST', headers: { cookie } })
  }

  test('shows devices, and signs out elsewhere', async () => {
    const [fox, owl] = [await login('fox'), await login('owl')]
    const devices = async (of: Browser): Promise<unknown> =>
      JSON.parse((await of.open(`${url}/devices`)).text)
    expect(await devices(fox)).toMatchObject([
      { browser: 'owl', current: false },
      { browser: 'fox', current: true },
    ])
    expect((await post('/sign-out-elsewhere', fox)).status).toBe(204)
    expect(await devices(fox)).toMatchObject([{ browser: 'fox', current: true }])
    expect(await store.get(owl.sid)).toBeNull()
  })

  test('and sends away who is not signed in', async () => {
    expect((await fetch(`${url}/devices`)).status).toBe(401)
    expect((await post('/sign-out-elsewhere', new Browser())).status).toBe(401)
  })

  test('charges a cart once', async () => {
    const visitor = await login('elk')
    const responses = await Promise.all(Array.from({ length: 20 }, () => post('/checkout', visitor)))
    expect(charged).toEqual([['book']])
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(responses.filter(({ status }) => status === 409)).toHaveLength(19)
  })

  test('rotates a token one at a time', async () => {
    const visitor = await login('emu')
    const rotate = async (token: string): Promise<string> => `${token}+`
    await Promise.all(Array.from({ length: 20 }, () => withLock(visitor.sid, rotate)))
    const { token } = (await store.get(visitor.sid)) as SessionData & { token: string }
    expect(token).toBe(`old${'+'.repeat(20)}`)
  })

  test('and rotates none where the session is gone', async () => {
    const rotate = (): never => expect.fail('rotated')
    await withLock('gone', rotate)
    expect(await store.get('gone')).toBeNull()
  })
})
