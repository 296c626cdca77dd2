import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import express from 'express'
import session from 'express-session'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { MemcachedStore } from '../../lib/index.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { TcpProxy } from '../support/proxy.ts'
import { type AnySession, TwoStores } from './two-stores.ts'

const memcached = inject('memcached')?.split(',')[0]
const VISITORS = 20
const TIMES = fewOrMany(3, 25)
const ALL = VISITORS * TIMES

describe.skipIf(memcached === undefined)(
  'a redirect that the browser follows before the save is done',
  () => {
    const agent = new Agent({ keepAlive: true })
    let proxy: TcpProxy
    let stores: TwoStores
    let server: Server
    let url: string
    /** Saves that are under way, and reads that came meanwhile. */
    let saving = 0
    let overtaking = 0

    beforeAll(async () => {
      proxy = await TcpProxy.start(memcached as string)
      stores = new TwoStores({ servers: proxy.address, timeout: 5000 }, { servers: memcached })
      server = createServer({ keepAliveTimeout: 0 }, makeApp(stores)).listen(0, '127.0.0.1')
      await once(server, 'listening')
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      // The save takes its time; the browser, in this process, does not.
      proxy.delay(3)
    })
    afterAll(async () => {
      agent.destroy()
      server.close()
      await stores[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
    })

    test.each([
      ['alone', '/change'],
      ['amid a change by another process', '/change-amid'],
    ])(`finds what was saved, ${ALL} of ${ALL}, %s`, async (_, path) => {
      overtaking = 0
      let found = 0
      const visit = async (): Promise<void> => {
        const first = await ask('/new')
        const cookie = first.headers['set-cookie']?.[0]?.split(';')[0] as string
        await text(first)
        for (let time = 1; time <= TIMES; time++) {
          const redirect = await ask(`${path}?to=${time}`, cookie)
          expect(redirect.statusCode).toBe(302)
          // Its headers are here, its body waits for the save.
          const followed = await ask(redirect.headers.location as string, cookie)
          found += Number(Number(await text(followed)) === time)
          redirect.resume()
        }
      }
      await Promise.all(Array.from({ length: VISITORS }, visit))
      expect(found).toBe(ALL)
      expect(overtaking).toBeGreaterThan(ALL / 2)
    })

    function ask(path: string, cookie = ''): Promise<IncomingMessage> {
      return new Promise((resolve, reject) => {
        get(url + path, { agent, headers: { cookie } }, resolve).on('error', reject)
      })
    }

    function makeApp({ here: store }: TwoStores): express.Express {
      const app = express()
      app.use('/read', (_req, _res, next) => {
        overtaking += Number(saving > 0)
        next()
      })
      app.use(session({ store: watched(store), secret: 'test', resave: false, saveUninitialized: false }))
      app.get('/new', (req, res) => {
        change(req, 0)
        res.end()
      })
      app.get('/change', (req, res) => {
        change(req, Number(req.query.to))
        redirect(res)
      })
      app.get('/change-amid', async (req, res) => {
        await stores.edit(req.sessionID, theirs => {
          theirs.other = req.query.to
        })
        change(req, Number(req.query.to))
        redirect(res)
      })
      app.get('/read', (req, res) => {
        res.send(String((req.session as unknown as AnySession).value))
      })
      return app
    }

    /** Its headers are on their way before anything is saved. */
    function redirect(res: express.Response): void {
      res.writeHead(302, { location: '/read', 'content-length': 5 })
      res.flushHeaders()
      res.end('moved')
    }

    function change(req: express.Request, to: number): void {
      ;(req.session as unknown as AnySession).value = to
    }

    function watched(store: MemcachedStore): MemcachedStore {
      const set = store.set.bind(store)
      store.set = ((sid: string, data: AnySession, callback: (error?: Error | null) => void) => {
        saving++
        set(sid, data, error => {
          saving--
          callback(error)
        })
      }) as MemcachedStore['set']
      return store
    }
  },
)
