import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler } from 'express'
import session, { type SessionData } from 'express-session'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { MAX_DEPTH } from '../../lib/session/codec.ts'
import { CookieCheck } from '../../lib/session/cookie-check.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { fewOrMany } from '../support/few-or-many.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const prefix = `foreign-${randomUUID()}:`
/** Milliseconds after which a request is taken to hang. */
const HANGS = 20_000
const sid = 'one-of-another-language'

/** An app that sends its cookie with each answer; `/save` saves in the middle of the request too. */
class App {
  readonly store: MemcachedStore = new MemcachedStore({ servers: memcached, prefix })
  readonly #server: Server
  #cookie = ''

  constructor() {
    const app = express()
    const { store } = this
    const genid = (): string => sid
    app.use(session({ store, secret: 'test', resave: false, saveUninitialized: true, rolling: true, genid }))
    app.get('/read', (_req, res) => void res.json({}))
    app.get('/write', (req, res) => {
      Object.assign(req.session, { written: randomUUID() })
      res.json({})
    })
    app.get('/save', (req, res, next) => {
      Object.assign(req.session, { written: randomUUID() })
      req.session.save(error => (error ? next(error) : res.json({})))
    })
    const fail: ErrorRequestHandler = (error, _req, res, next) => {
      if (res.headersSent) next(error)
      else res.status(500).end(String(error))
    }
    app.use(fail)
    this.#server = createServer(app)
  }

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    this.#cookie = (await this.open('/read')).headers.get('set-cookie') as string
  }

  open(path: string): Promise<Response> {
    const { port } = this.#server.address() as AddressInfo
    return fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { cookie: this.#cookie },
      signal: AbortSignal.timeout(HANGS),
    })
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await this.store.close()
  }
}

describe.skipIf(memcached === undefined)(
  'a session as somebody else stored it: each request ends well',
  () => {
    const raw = new RawMemcached(memcached ?? ':')
    let app: App
    beforeAll(async () => {
      app = new App()
      await app.start()
    })
    afterAll(() => app.close())

    async function expectService(text: string): Promise<void> {
      for (const path of ['/read', '/write', '/save']) {
        expect(await raw.set(prefix + sid, text)).toBe('STORED')
        const response = await app.open(path)
        expect([path, response.status, await response.text()]).toEqual([path, 200, '{}'])
        expect(response.headers.get('set-cookie')).toMatch(/^connect\.sid=/)
      }
    }

    const date = new Date(Date.now() + 3_600_000).toISOString()
    test.each([
      { originalMaxAge: '5000' },
      { originalMaxAge: true },
      { originalMaxAge: {} },
      { originalMaxAge: [60_000] },
      { originalMaxAge: false, expires: false },
      { originalMaxAge: '', expires: '' },
      { originalMaxAge: 1e300, expires: date },
      { originalMaxAge: -5, expires: date },
      { maxAge: '5000', expires: date },
      { maxAge: true },
      { maxAge: 60_000 },
      { expires: '9999-99-99T99:99:99.999Z' },
      { expires: '2099-13-01T00:00:00.000Z' },
      { expires: '2099-02-31T00:00:00.000Z' },
      { expires: true },
      { expires: { a: 1 } },
      { expires: 4e12 },
      { path: 'bad;path' },
      { path: '/ü' },
      { path: 5 },
      { path: null },
      { path: {} },
      { domain: 'a b' },
      { domain: {} },
      { domain: ['a.example'] },
      { sameSite: 'sometimes' },
      { sameSite: 1 },
      { sameSite: 'LAX' },
      { priority: 'highest' },
      { priority: {} },
      { data: 1, toJSON: 1, serialize: 1 },
      [],
      ['a'],
    ])('a cookie of %j', async cookie => {
      await expectService(JSON.stringify({ cookie, a: 1 }))
    })

    const value = fc.oneof(
      fc.json({ maxDepth: 2 }).map(text => JSON.parse(text) as unknown),
      fc.constantFrom<unknown>(
        date,
        '/',
        'lax',
        'high',
        'a.example',
        0,
        -1,
        60_000,
        1e300,
        '5',
        true,
        false,
        null,
      ),
    )
    const names = [
      'originalMaxAge',
      'maxAge',
      'expires',
      'path',
      'domain',
      'sameSite',
      'priority',
      'httpOnly',
      'partitioned',
      'data',
      'toJSON',
      'serialize',
      'constructor',
      'hasOwnProperty',
    ]
    test('any cookie', async () => {
      const cookies = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 5, noNullPrototype: true })
      await fc.assert(
        fc.asyncProperty(cookies, cookie => expectService(JSON.stringify({ cookie, a: 1 }))),
        { numRuns: fewOrMany(40, 150) },
      )
    })

    test('any session', async () => {
      const reserved = fc.constantFrom(
        'req',
        'id',
        'save',
        'reload',
        'touch',
        'destroy',
        'toJSON',
        'length',
        'a',
      )
      const sessions = fc.dictionary(reserved, value, { maxKeys: 5, noNullPrototype: true })
      await fc.assert(
        fc.asyncProperty(sessions, more => expectService(JSON.stringify({ cookie: { path: '/' }, ...more }))),
        { numRuns: fewOrMany(20, 50) },
      )
    })

    test.each([MAX_DEPTH - 1, MAX_DEPTH, 2000, 3000, 100_000])(
      'nested %d levels below its own',
      async levels => {
        for (const [open, close] of [
          ['[', ']'],
          ['{"a":', '}'],
        ] as const) {
          const nested = `${open.repeat(levels)}1${close.repeat(levels)}`
          await expectService(`{"cookie":{"originalMaxAge":null,"path":"/"},"nested":${nested}}`)
          await expectService(`{"cookie":{"secure":${nested}},"a":1}`)
        }
      },
    )
  },
)

describe('the check of a cookie', () => {
  const good = { originalMaxAge: 60_000, expires: '2099-01-01T00:00:00.000Z', path: '/', httpOnly: true }

  test('remembers nothing bad, and goes on with what is good', () => {
    const check = new CookieCheck()
    for (const path of ['/', '/ü', '/shop', '/ü', '/', 'a;b']) {
      expect(check.works({ ...good, path }), path).toBe(/^\/[a-z]*$/.test(path))
    }
  })

  test('takes what express-session itself makes', () => {
    const check = new CookieCheck()
    for (const options of [
      {},
      { maxAge: 5 },
      { maxAge: 0 },
      { maxAge: false },
      { expires: false },
      { domain: '.a.example', sameSite: 'none', priority: 'low', partitioned: true },
    ]) {
      // biome-ignore lint/suspicious/noExplicitAny: the types know less than express-session
      const cookie = new (session.Cookie as any)(options) as SessionData['cookie']
      expect(check.works(cookie)).toBe(true)
      expect(check.works(JSON.parse(JSON.stringify(cookie)))).toBe(true)
    }
  })
})
