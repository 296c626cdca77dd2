import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import session, { type SessionData } from 'express-session'
import { Server } from 'socket.io'
import { io, type Socket } from 'socket.io-client'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { generate, load, save } from './live.ts'
import { ScriptedApp } from './scripted-app.ts'
import { TwoStores } from './two-stores.ts'
import { type App, loaded, Visitor } from './visitor.ts'

const servers = inject('memcached')
const raw = new RawMemcached(servers?.split(',')[0] ?? ':')
/** Seconds. */
const tombstone = 2

function options(more: MemcachedStoreOptions = {}): MemcachedStoreOptions & { prefix: string } {
  return { servers: servers as string, tombstone, ...more, prefix: `late-${randomUUID()}:` }
}

const userOf = ({ user }: SessionData & { user?: string }): string => user as string

/** Waits until memcached has forgotten the tombstone: from then on nobody else knows of the logout. */
function forgotten(prefix: string, sid: string): Promise<unknown> {
  return until(async () => (await raw.get(prefix + sid)) === null)
}

function conflictsOf(store: MemcachedStore): [sid: string, outcome: string][] {
  const conflicts: [string, string][] = []
  store.on('conflict', (sid, { outcome }) => conflicts.push([sid, outcome]))
  return conflicts
}

describe.skipIf(servers === null)('a session that memcached lost while a request had it', () => {
  // Only this process's own clock: memcached's goes on as ever.
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })
  const pass = (seconds: number): unknown => vi.advanceTimersByTime(seconds * 1000)
  const start = (): TwoStores => new TwoStores({ servers: servers as string, tombstone: 300, touchAfter: 0 })

  test('is written again where it was read less than `tombstone` seconds ago', async () => {
    await using stores = start()
    const sid = await stores.create({ user: 'Ada' })
    const live = await load(stores.here, sid)
    await stores.evict(sid)
    pass(299)
    live.n = 1
    await save(live)
    expect(await stores.stored(sid)).toEqual({ user: 'Ada', n: 1 })
    expect(stores.conflicts).toEqual([])
  })

  test('stays gone where that is longer ago, and is told of', async () => {
    await using stores = start()
    const sid = await stores.create({ user: 'Ada' })
    const live = await load(stores.here, sid)
    await stores.evict(sid)
    pass(300)
    live.n = 1
    await save(live)
    expect(await stores.stored(sid)).toBeNull()
    expect(stores.conflicts).toEqual([[sid, 'destroyed']])
  })

  test('is stored however late it is saved, where it is new and its first save failed', async () => {
    await using memcached = await Memcached.start()
    await using stores = new TwoStores({ servers: memcached.address, timeout: 5000 })
    const live = generate(stores.here)
    live.user = 'Ada'
    await memcached.kill()
    await expect(save(live)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    pass(301)
    await memcached.restart()
    await until(() =>
      stores.here.get('anybody').then(
        () => true,
        () => false,
      ),
    )
    await save(live)
    expect(await stores.stored(live.id)).toEqual({ user: 'Ada' })
    expect(stores.conflicts).toEqual([])
  })

  test.each(['set', 'touch'] as const)('counts from its last %s, which has seen it', async how => {
    await using stores = start()
    const sid = await stores.create({ user: 'Ada' })
    const live = await load(stores.here, sid)
    pass(200)
    if (how === 'set') live.m = 1
    else live.cookie.maxAge = 120_000
    await stores.here[how](sid, live)
    pass(200)
    await stores.evict(sid)
    live.n = 1
    await save(live)
    expect(await stores.stored(sid)).toMatchObject({ user: 'Ada', n: 1 })
  })

  test('but from no touch that sent nothing', async () => {
    await using stores = new TwoStores({ servers: servers as string, tombstone: 300 })
    const sid = await stores.create({ user: 'Ada' })
    const live = await load(stores.here, sid)
    pass(200)
    await stores.here.touch(sid, live)
    pass(200)
    await stores.evict(sid)
    live.n = 1
    await save(live)
    expect(await stores.stored(sid)).toBeNull()
  })
})

describe.skipIf(servers === null).concurrent('a slow request that saves after the tombstone has gone', () => {
  test.each(['at its end', 'in its middle', 'twice'])('%s: the visitor stays logged out', async when => {
    const given = options()
    await using app = await ScriptedApp.start({ store: given, maxAge: 60_000 })
    const conflicts = conflictsOf(app.store as MemcachedStore)
    const visitor = new Visitor()
    const { sid } = await visitor.ask(app, ['set', 'user', 'Ada'])
    const more = when === 'at its end' ? [] : [['save'] as const]
    const slow = visitor.tab().ask(app, ['wait'], ['set', 'slow', 1], ...more, ['set', 'slow', 2], ...more)
    await loaded([app], 1)
    const old = visitor.tab()
    await visitor.ask(app, ['destroy'])
    await forgotten(given.prefix, sid)
    app.open()
    await slow
    expect((await old.ask(app)).session).not.toHaveProperty('user')
    expect(await raw.get(given.prefix + sid)).toBeNull()
    expect(conflicts.length).toBeGreaterThan(0)
    for (const conflict of conflicts) expect(conflict).toEqual([sid, 'destroyed'])
  })

  test('nor does its touch, or an `update`, bring anything back', async () => {
    const given = options({ touchAfter: 0 })
    await using app = await ScriptedApp.start({ store: given, maxAge: 60_000 })
    const visitor = new Visitor()
    const { sid } = await visitor.ask(app, ['set', 'user', 'Ada'])
    const slow = visitor.tab().ask(app, ['wait'], ['increment', 'count'])
    await loaded([app], 1)
    await visitor.ask(app, ['destroy'])
    await forgotten(given.prefix, sid)
    app.open()
    await slow
    expect(await raw.get(given.prefix + sid)).toBeNull()
  })

  test('a session that lives is saved, however long ago it was read', async () => {
    await using app = await ScriptedApp.start({ store: options({ tombstone: 1 }), maxAge: 60_000 })
    const store = app.store as MemcachedStore
    const conflicts = conflictsOf(store)
    const visitor = new Visitor()
    const { sid } = await visitor.ask(app, ['set', 'user', 'Ada'])
    const live = await load(store, sid)
    // So long as it takes memcached to forget a logout.
    const gone = randomUUID()
    await store.destroy(gone)
    await until(async () => ![...(await raw.expirations()).keys()].some(key => key.endsWith(gone)))
    live.late = 1
    await save(live)
    expect((await visitor.ask(app)).session).toMatchObject({ user: 'Ada', late: 1 })
    expect(conflicts).toEqual([])
  })
})

describe.skipIf(servers === null).concurrent('with `userOf` and a sign-out everywhere', () => {
  test('no slow request signs its user in again, and none is listed', async () => {
    const given = options({ userOf })
    await using app = await ScriptedApp.start({ store: given, maxAge: 60_000 })
    const store = app.store as MemcachedStore
    const conflicts = conflictsOf(store)
    const visitor = new Visitor()
    const { sid } = await visitor.ask(app, ['set', 'user', 'ada'])
    expect(await store.sessionsOf('ada')).toHaveLength(1)
    const slow = visitor.tab().ask(app, ['wait'], ['set', 'slow', 1])
    await loaded([app], 1)
    await store.destroyAllOf('ada')
    await forgotten(given.prefix, sid)
    app.open()
    await slow
    expect(await store.sessionsOf('ada')).toEqual([])
    expect(await raw.get(given.prefix + sid)).toBeNull()
    expect(conflicts).toEqual([[sid, 'destroyed']])
    // Who signs in anew is in.
    const { sid: fresh } = await new Visitor().ask(app, ['set', 'user', 'ada'])
    expect((await store.sessionsOf('ada')).map(listed => listed.sid)).toEqual([fresh])
  })

  test('nor does a slow login into a session that was destroyed', async () => {
    const given = options({ userOf })
    await using app = await ScriptedApp.start({ store: given, maxAge: 60_000 })
    const store = app.store as MemcachedStore
    const visitor = new Visitor()
    const { sid } = await visitor.ask(app, ['set', 'cart', 1])
    const login = visitor.tab().ask(app, ['wait'], ['set', 'user', 'ada'])
    await loaded([app], 1)
    await store.destroy(sid)
    await forgotten(given.prefix, sid)
    app.open()
    await login
    expect(await store.sessionsOf('ada')).toEqual([])
    expect(await raw.get(given.prefix + sid)).toBeNull()
  })

  test('a new session that was saved before, too', async () => {
    const given = options({ userOf })
    await using store = new MemcachedStore(given)
    const conflicts = conflictsOf(store)
    const live = generate(store)
    live.user = 'ada'
    await save(live)
    await store.destroyAllOf('ada')
    await forgotten(given.prefix, live.id)
    live.n = 1
    await save(live)
    expect(await store.sessionsOf('ada')).toEqual([])
    expect(await store.get(live.id)).toBeNull()
    expect(conflicts).toEqual([[live.id, 'destroyed']])
  })
})

/** An app with pages and a WebSocket that share their sessions, as Socket.IO's guide has it. */
class Chat implements App {
  readonly store: MemcachedStore
  readonly waiting = 0
  readonly #server = createServer({ keepAliveTimeout: 0 })
  readonly #sockets: Server
  readonly #clients: Socket[] = []

  constructor(given: MemcachedStoreOptions) {
    this.store = new MemcachedStore(given)
    const shared = session({
      store: this.store,
      secret: 'test',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 60_000 },
    })
    const app = express()
    app.use(shared)
    app.get('/', (req, res, next) => {
      const [step] = JSON.parse(String(req.query.steps)) as [string, string, unknown][]
      if (step?.[0] === 'set') Object.assign(req.session, { [step[1]]: step[2] })
      const { sessionID: sid } = req
      const answer = (error?: unknown): unknown =>
        error ? next(error) : res.json({ sid, session: req.session ?? null })
      if (step?.[0] === 'destroy') req.session.destroy(answer)
      else answer()
    })
    this.#server.on('request', app)
    this.#sockets = new Server(this.#server, { transports: ['websocket'] })
    this.#sockets.engine.use(shared)
    this.#sockets.on('connection', socket => {
      const req = socket.request as unknown as express.Request
      const put = (key: string, value: unknown, done: (error: string | null) => void): void => {
        Object.assign(req.session, { [key]: value })
        req.session.save(error => done(error ? String(error) : null))
      }
      socket.on('put', put)
      socket.on('reload and put', (key, value, done) => {
        req.session.reload(error => {
          if (error) done(String(error))
          else put(key, value, done)
        })
      })
    })
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  open(): void {}

  /** A socket of this visitor's, with the session as it is now. */
  async connect({ cookie }: Visitor): Promise<Socket> {
    const client = io(this.url, { transports: ['websocket'], extraHeaders: { cookie }, forceNew: true })
    this.#clients.push(client)
    await new Promise<void>((resolve, reject) => {
      client.once('connect', resolve)
      client.once('connect_error', reject)
    })
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.disconnect()
    await this.#sockets.close()
    await this.store.close()
  }
}

describe.skipIf(servers === null).concurrent('a socket that holds a session', () => {
  test('and saves it after a logout, even when the tombstone has gone, brings nothing back', async () => {
    const given = options()
    await using chat = await new Chat(given).listen()
    const conflicts = conflictsOf(chat.store)
    const visitor = new Visitor()
    const { sid } = await visitor.ask(chat, ['set', 'user', 'Ada'])
    const socket = await chat.connect(visitor)
    expect(await socket.emitWithAck('put', 'said', 'hello')).toBeNull()
    expect((await visitor.ask(chat)).session).toMatchObject({ user: 'Ada', said: 'hello' })
    const old = visitor.tab()
    await visitor.ask(chat, ['destroy'])
    expect(await socket.emitWithAck('put', 'said', 'soon')).toBeNull()
    expect(await raw.get(given.prefix + sid)).not.toMatchObject({ flags: 0 })
    await forgotten(given.prefix, sid)
    expect(await socket.emitWithAck('put', 'said', 'late')).toBeNull()
    expect(await socket.emitWithAck('put', 'said', 'later')).toBeNull()
    expect(await raw.get(given.prefix + sid)).toBeNull()
    expect((await old.ask(chat)).session).not.toHaveProperty('user')
    expect(conflicts).toEqual(Array(3).fill([sid, 'destroyed']))
  })

  test('and reloads it before is told that it is gone', async () => {
    const given = options()
    await using chat = await new Chat(given).listen()
    const visitor = new Visitor()
    const { sid } = await visitor.ask(chat, ['set', 'user', 'Ada'])
    const socket = await chat.connect(visitor)
    await visitor.ask(chat, ['set', 'page', 1])
    expect(await socket.emitWithAck('reload and put', 'said', 'hello')).toBeNull()
    expect((await visitor.ask(chat)).session).toMatchObject({ user: 'Ada', page: 1, said: 'hello' })
    await visitor.ask(chat, ['destroy'])
    expect(await socket.emitWithAck('reload and put', 'said', 'soon')).toMatch(/failed to load session/)
    await forgotten(given.prefix, sid)
    expect(await socket.emitWithAck('reload and put', 'said', 'late')).toMatch(/failed to load session/)
    expect(await raw.get(given.prefix + sid)).toBeNull()
  })

  test('with `userOf` signs nobody in again', async () => {
    const given = options({ userOf })
    await using chat = await new Chat(given).listen()
    const visitor = new Visitor()
    const { sid } = await visitor.ask(chat, ['set', 'user', 'ada'])
    const socket = await chat.connect(visitor)
    await chat.store.destroyAllOf('ada')
    await forgotten(given.prefix, sid)
    await socket.emitWithAck('put', 'said', 'late')
    expect(await chat.store.sessionsOf('ada')).toEqual([])
    expect(await raw.get(given.prefix + sid)).toBeNull()
  })

  test('and saves beside pages loses nothing and undoes nothing', async () => {
    await using chat = await new Chat(options()).listen()
    const visitor = new Visitor()
    await visitor.ask(chat, ['set', 'user', 'Ada'])
    const socket = await chat.connect(visitor)
    for (let turn = 0; turn < 5; turn++) {
      const [, error] = await Promise.all([
        visitor.tab().ask(chat, ['set', `page-${turn}`, turn]),
        socket.emitWithAck('put', `said-${turn}`, turn),
      ])
      expect(error).toBeNull()
    }
    const { session: found } = await visitor.ask(chat)
    const keys = Array.from({ length: 5 }, (_, turn) => ({ [`page-${turn}`]: turn, [`said-${turn}`]: turn }))
    expect(found).toMatchObject(Object.assign({ user: 'Ada' }, ...keys))
  })
})
