import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import express from 'express'
import session from 'express-session'
import { Client } from 'memjs'
import request from 'supertest'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { Lab } from '../support/lab.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { sessionOf } from './calls.ts'

// Many visitors share a connection. Who they are is often kept in an AsyncLocalStorage (tracing,
// logging, the current user), so one must never go on in the async context of another.

const memcached: string | undefined = inject('memcached')?.split(',')[0]
const prefix = `context-${randomUUID()}:`
const visitor = new AsyncLocalStorage<string | object>()

function create(options: MemcachedStoreOptions = {}): MemcachedStore {
  const store = new MemcachedStore({ servers: memcached, prefix, ...options })
  onTestFinished(() => store.close())
  return store
}

const NAMES = ['Ada', 'Bob', 'Cyd', 'Dan']

/** Runs `start` for many visitors at once, and gives the contexts in which they were called back: {@link NAMES}. */
function contextsOf(start: (name: string, done: () => void) => void): Promise<unknown[]> {
  return Promise.all(
    NAMES.map(
      name =>
        new Promise(resolve => {
          visitor.run(name, () => start(name, () => resolve(visitor.getStore())))
        }),
    ),
  )
}

type Operation = (store: MemcachedStore, sid: string, done: () => void) => void

const SINGLE: Record<string, Operation> = {
  get: (store, sid, done) => store.get(sid, done),
  getMany: (store, sid, done) => store.getMany([sid, 'other'], done),
  set: (store, sid, done) => store.set(sid, sessionOf({ a: 1 }), done),
  touch: (store, sid, done) => store.touch(sid, sessionOf({}, 60_000), done),
  destroy: (store, sid, done) => store.destroy(sid, done),
  update: (store, sid, done) => store.update(sid, () => {}, done),
}
const ALL: Record<string, Operation> = {
  ...SINGLE,
  length: (store, _sid, done) => store.length(done),
  stats: (store, _sid, done) => store.stats(done),
}

describe.skipIf(memcached === undefined)('the async context', () => {
  test.each(Object.entries(ALL))('%s calls back in its caller’s', async (_, operation) => {
    const store = create()
    expect(await contextsOf((name, done) => operation(store, name, done)), 'connecting').toEqual(NAMES)
    expect(await contextsOf((name, done) => operation(store, name, done)), 'connected').toEqual(NAMES)
  })

  test.each(Object.entries(SINGLE))('%s of one session by many at once, too', async (_, operation) => {
    const store = create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }))
    expect(await contextsOf((_name, done) => operation(store, sid, done))).toEqual(NAMES)
  })

  test.each(Object.entries(SINGLE))('%s that fails, too', async (_, operation) => {
    await using lab = await Lab.start()
    const contexts = () => contextsOf((name, done) => operation(lab.store, name, done))
    await lab.warmUp()
    lab.proxy.cutAfter(0, 'reset', Infinity)
    expect(await contexts(), 'cut off').toEqual(NAMES)
    await lab.proxy.pass()
    await lab.operations.recovered()
    lab.proxy.silence()
    expect(await contexts(), 'late').toEqual(NAMES)
    expect(await contexts(), 'refused, since the server is down').toEqual(NAMES)
  })

  test('a client that the application brought', async () => {
    const client = Client.create(memcached)
    onTestFinished(() => client.close())
    const store = create({ servers: undefined, client })
    expect(await contextsOf((name, done) => store.get(name, done))).toEqual(NAMES)
    expect(await contextsOf((name, done) => store.set(name, sessionOf(), done))).toEqual(NAMES)
  })

  test('the application’s own functions, and listeners, are called in that of their request', async () => {
    const seen: unknown[] = []
    const see = () => void seen.push(visitor.getStore())
    const store = create({
      onConflict(_base, mine) {
        see()
        return mine
      },
    })
    store.on('conflict', see)
    const sid = randomUUID()
    await store.set(sid, sessionOf({ views: 0 }))
    const [first, second] = [await store.get(sid), await store.get(sid)]
    await visitor.run('Ada', () => store.set(sid, Object.assign(first as object, { a: 1 }) as never))
    await visitor.run('Bob', () => store.set(sid, Object.assign(second as object, { b: 1 }) as never))
    await until(() => seen.length === 2)
    expect(seen).toEqual(['Bob', 'Bob'])
  })

  test('connect and disconnect are nobody’s', async () => {
    const proxy = await TcpProxy.start(memcached as string)
    onTestFinished(() => proxy[Symbol.asyncDispose]())
    const store = create({ servers: proxy.address, timeout: 250, onUnavailable: 'anonymous' })
    const seen: unknown[] = []
    store.on('connect', () => seen.push(visitor.getStore()))
    store.on('disconnect', () => seen.push(visitor.getStore()))
    await contextsOf((name, done) => store.get(name, done))
    await proxy.silence()
    await contextsOf((name, done) => store.get(name, done))
    await proxy.pass()
    await until(() => seen.length === 3)
    expect(seen).toEqual([undefined, undefined, undefined])
  })

  test('the request that opened the connection is not kept alive, while others are answered', async () => {
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    const store = create()
    const ended = new Promise<WeakRef<object>>(resolve => {
      const req = { headers: {} }
      visitor.run(req, () => store.get('nobody', () => resolve(new WeakRef(req))))
    })
    let isOver = false
    const traffic = async (): Promise<void> => {
      while (!isOver) await store.get('nobody')
    }
    // Several, so that the clock of the deadlines, which rests when nothing is due, goes on.
    const others = Promise.all(Array.from({ length: 8 }, traffic))
    const first = await ended
    await until(() => {
      collect()
      return first.deref() === undefined
    })
    isOver = true
    await others
  })

  test('visitors of an application keep theirs through the session middleware', async () => {
    const app = express()
    app.use((req, _res, next) => visitor.run(req.url, next))
    app.use(session({ store: create(), secret: 'secret', resave: true, saveUninitialized: true }))
    app.use((req, res) => {
      req.session.save(() => res.json(visitor.getStore()))
    })
    const server = app.listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const agent = request.agent(server)
    await agent.get('/first')
    const urls = Array.from({ length: 20 }, (_, index) => `/${index}`)
    const answers = await Promise.all(urls.map(url => agent.get(url)))
    expect(answers.map(({ body }) => body)).toEqual(urls)
  })
})
