import { randomUUID } from 'node:crypto'
import express from 'express'
import session from 'express-session'
import request from 'supertest'
import { afterEach, beforeEach, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { OPCODE } from '../support/frames.ts'
import { TcpProxy } from '../support/proxy.ts'
import { end, generate, type LiveSession, load, save } from './live.ts'
import { ScriptedApp, type Step } from './scripted-app.ts'
import { type AnySession, makeSession, TwoStores } from './two-stores.ts'
import { loaded, Visitor } from './visitor.ts'

const servers = inject('memcached')
const raw = new RawMemcached(servers?.split(',')[0] ?? ':')

const MINUTE = 60_000
const HOUR = 60 * MINUTE

// Only the clock of this process: memcached's own goes on as ever.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds)
}

function start(options: MemcachedStoreOptions = {}): TwoStores {
  return new TwoStores({ servers: servers as string, ...options })
}

/** When the session ends, as its stored cookie says: milliseconds from now. */
async function leftOf(stores: TwoStores, sid: string): Promise<number> {
  const { cookie } = (await stores.elsewhere.get(sid)) as AnySession
  return new Date(cookie.expires as unknown as string).getTime() - Date.now()
}

/** When memcached ends the session, in its seconds. */
async function endOf(sid: string): Promise<number> {
  const found = [...(await raw.expirations()).entries()].find(([key]) => key.endsWith(sid))
  return (found as [string, number])[1]
}

function startApp(options: MemcachedStoreOptions, maxAge: number): Promise<ScriptedApp> {
  const store = { servers: servers as string, prefix: `dates-${randomUUID()}:`, ...options }
  return ScriptedApp.start({ store, maxAge })
}

describe.skipIf(servers === null)('an active visitor stays signed in', () => {
  test.each<[string, Step[]]>([
    ['reads', []],
    ['updates', [['increment', 'count']]],
    ['updates and saves', [['increment', 'count'], ['save']]],
    ['saves, changes and updates', [['save'], ['set', 'last', 1], ['save'], ['increment', 'count']]],
    ['reloads after an update', [['increment', 'count'], ['reload']]],
  ])('whose requests each %s', async (_, steps) => {
    await using app = await startApp({}, 4000)
    const visitor = new Visitor()
    await visitor.ask(app, ['set', 'user', 'Ada'])
    for (let turn = 0; turn < 20; turn++) {
      pass(500)
      expect((await visitor.ask(app, ...steps)).session).toMatchObject({ user: 'Ada' })
    }
    const counts = steps.some(([verb]) => verb === 'increment')
    expect((await visitor.ask(app)).session?.count).toBe(counts ? 20 : undefined)
  })

  test('whose long reading request overlaps an update', async () => {
    await using app = await startApp({}, 4000)
    const visitor = new Visitor()
    const { sid } = await visitor.ask(app, ['set', 'user', 'Ada'])
    const reading = visitor.tab().ask(app, ['wait'])
    await loaded([app], 1)
    pass(2000)
    await (app.store as MemcachedStore).update(sid, data => {
      Object.assign(data, { count: 1 })
    })
    pass(1500)
    app.open()
    await reading
    pass(3500)
    expect((await visitor.ask(app)).session).toMatchObject({ user: 'Ada', count: 1 })
  })

  test('whose date a process keeps whose clock is behind', async () => {
    await using stores = start()
    const sid = randomUUID()
    pass(250)
    await stores.elsewhere.set(sid, makeSession({ user: 'Ada' }, 6000))
    pass(-250)
    const live = await load(stores.here, sid)
    live.n = 1
    await stores.here.set(sid, live.touch())
    expect(await leftOf(stores, sid)).toBe(6250)
    expect(await stores.elsewhere.get(sid)).toMatchObject({ user: 'Ada', n: 1 })
    live.cookie.maxAge = 3000
    await stores.here.set(sid, live)
    expect(await leftOf(stores, sid)).toBe(3000)
  })

  test('whose life is made longer just after what was read is over', async () => {
    await using stores = start()
    const sid = randomUUID()
    await stores.elsewhere.set(sid, makeSession({ user: 'Ada' }, 6000))
    const [quick, slow] = [await load(stores.elsewhere, sid), await load(stores.here, sid)]
    pass(5500)
    await stores.elsewhere.touch(sid, quick.touch())
    // Over for a session of six seconds, not yet for one of twenty.
    pass(600)
    slow.cookie.maxAge = 20_000
    await stores.here.touch(sid, slow)
    expect(await leftOf(stores, sid)).toBe(20_000)
  })

  test('whom a touch of a session that its process has not read, and whose date has passed, leaves alone', async () => {
    await using stores = start()
    const sid = randomUUID()
    const first = makeSession({ user: 'Ada' }, 4000)
    await stores.elsewhere.set(sid, structuredClone(first))
    const live = await load(stores.elsewhere, sid)
    pass(3000)
    await stores.elsewhere.touch(sid, live.touch())
    pass(2000)
    await stores.here.touch(sid, first)
    expect(await stores.elsewhere.get(sid)).toMatchObject({ user: 'Ada' })
  })

  test.each(['touch', 'set'] as const)('whose %s meets a save with an earlier date', async how => {
    await using stores = start()
    const sid = await stores.create({ a: 1 })
    const slow = await load(stores.here, sid)
    pass(30_000)
    // In the middle of its request: it gives no new date.
    await stores.edit(sid, theirs => {
      theirs.b = 1
    })
    expect(await leftOf(stores, sid)).toBe(30_000)
    slow.touch()
    await stores.here[how](sid, slow)
    expect(await leftOf(stores, sid)).toBe(MINUTE)
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 1 })
  })

  test('whose session is renewed while the answer to his request is on its way', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] })
    await using proxy = await TcpProxy.start((servers as string).split(',')[0] as string)
    await using stores = start({ servers: proxy.address, timeout: 5000 })
    const live = generate(stores.here, 4000)
    await save(live)
    const held = proxy.holdFrom(OPCODE.get)
    const answer = stores.here.get(live.id)
    await held
    vi.advanceTimersByTime(5000)
    await proxy.pass()
    expect(await answer).toMatchObject({ cookie: { originalMaxAge: 4000 } })
    expect(await stores.here.get(live.id)).toBeNull()
  })

  test('whom others have kept signed in while the answer to an update is on its way', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] })
    const address = (servers as string).split(',')[0] as string
    await using proxy = await TcpProxy.start(address)
    const longer = { timeout: 10_000 }
    await using stores = new TwoStores({ servers: proxy.address, ...longer }, { servers: address, ...longer })
    const live = generate(stores.here, 4000)
    await save(live)
    const held = proxy.holdFrom(OPCODE.get)
    const updated = stores.here.update(live.id, data => {
      Object.assign(data, { n: 1 })
    })
    await held
    vi.advanceTimersByTime(3000)
    await end(stores.elsewhere, await load(stores.elsewhere, live.id))
    vi.advanceTimersByTime(2000)
    await proxy.pass()
    expect(await updated).toMatchObject({ n: 1 })
    expect(await stores.stored(live.id)).toEqual({ n: 1 })
  })

  test.each(['arrives', 'is lost'])(
    'whose life others have made longer, and no less than he was promised: the reply %s',
    async how => {
      const address = (servers as string).split(',')[0] as string
      await using proxy = await TcpProxy.start(address)
      await using stores = new TwoStores({ servers: proxy.address }, { servers: address })
      const sid = await stores.create({ count: 0 })
      const slow = await load(stores.here, sid)
      pass(5000)
      const other = await load(stores.elsewhere, sid)
      other.cookie.maxAge = MINUTE + 10_000
      await end(stores.elsewhere, other)
      pass(30_000)
      if (how === 'is lost') proxy.loseNextReply('reset')
      await end(stores.here, slow)
      expect(await leftOf(stores, sid)).toBe(MINUTE)
      expect(await stores.elsewhere.get(sid)).toMatchObject({ cookie: { originalMaxAge: MINUTE + 10_000 } })
    },
  )

  test('who touches while an update is under way', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    const live = await load(stores.here, sid)
    pass(50_000)
    const updating = stores.here.update(sid, async data => {
      await null
      Object.assign(data, { count: 1 })
    })
    await Promise.all([updating, end(stores.here, live)])
    expect(await leftOf(stores, sid)).toBe(MINUTE)
    expect(await stores.stored(sid)).toEqual({ count: 1 })
  })

  test('with touches and updates of two processes at once, and with `rolling` or `resave`', async () => {
    await using stores = start({ touchAfter: 1 })
    const sid = await stores.create({ count: 0 })
    for (let turn = 0; turn < 10; turn++) {
      const lives = await Promise.all([load(stores.here, sid), load(stores.elsewhere, sid)])
      pass(20_000)
      await Promise.all([
        end(stores.here, lives[0]),
        save(lives[1].touch() as LiveSession),
        ...[stores.here, stores.elsewhere].map(store =>
          store.update(sid, data => {
            const counted = data as unknown as { count: number }
            counted.count++
          }),
        ),
      ])
      expect(await leftOf(stores, sid)).toBe(MINUTE)
    }
    expect(await stores.stored(sid)).toEqual({ count: 20 })
  })
})

describe.skipIf(servers === null)('a date that has passed ends no living session', () => {
  /** A session whose cookie is over, but within the time that a touch may be late. */
  async function late(stores: TwoStores): Promise<string> {
    const sid = await stores.create({ a: 1 })
    pass(MINUTE + 10_000)
    return sid
  }

  test('where a request saves in its middle', async () => {
    await using app = await startApp({ touchAfter: 30 }, MINUTE)
    const visitor = new Visitor()
    await visitor.ask(app, ['set', 'user', 'Ada'])
    pass(MINUTE + 10_000)
    const { session: found } = await visitor.ask(app, ['set', 'a', 1], ['save'], ['set', 'b', 2], ['save'])
    expect(found).toMatchObject({ user: 'Ada' })
    pass(MINUTE - 1000)
    expect((await visitor.ask(app)).session).toMatchObject({ user: 'Ada', a: 1, b: 2 })
  })

  test('where it is updated', async () => {
    await using stores = start({ touchAfter: 30 })
    const sid = await late(stores)
    const updated = await stores.here.update(sid, data => {
      Object.assign(data, { b: 2 })
    })
    expect(updated).toMatchObject({ a: 1, b: 2 })
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 2 })
  })

  test('where it is got and set, or got and touched', async () => {
    await using stores = start({ touchAfter: 30 })
    const sid = await late(stores)
    await stores.here.touch(sid, await stores.read(sid))
    expect(await stores.stored(sid)).toEqual({ a: 1 })
    await stores.here.set(sid, await stores.read(sid))
    expect(await stores.stored(sid)).toEqual({ a: 1 })
    await stores.here.set(sid, Object.assign(await stores.read(sid), { b: 2 }))
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 2 })
  })

  test('where a request has it for itself', async () => {
    const store = new MemcachedStore({
      servers: servers as string,
      prefix: `dates-${randomUUID()}:`,
      touchAfter: 30,
    })
    onTestFinished(() => store.close())
    const app = express()
    const cookie = { maxAge: MINUTE }
    app.use(session({ store, cookie, secret: 'test', resave: false, saveUninitialized: false }))
    app.post('/', (req, res) => {
      Object.assign(req.session, { user: 'Ada' })
      res.end()
    })
    app.get('/', store.exclusive(), (req, res) => {
      res.json(req.session)
    })
    const visitor = request.agent(app)
    const [signedIn] = (await visitor.post('/')).get('Set-Cookie') as string[]
    pass(MINUTE + 10_000)
    const { status, body } = await request(app)
      .get('/')
      .set('Cookie', (signedIn as string).split(';')[0] as string)
    expect([status, body.user]).toEqual([200, 'Ada'])
  })

  test('where a request that is longer than its life saves what others have kept alive', async () => {
    await using app = await startApp({}, MINUTE)
    const visitor = new Visitor()
    await visitor.ask(app, ['set', 'user', 'Ada'])
    const slow = visitor.tab().ask(app, ['wait'], ['set', 'slow', 1], ['save'], ['wait'])
    await loaded([app], 1)
    for (let turn = 0; turn < 3; turn++) {
      pass(MINUTE / 2)
      expect((await visitor.ask(app)).session).toMatchObject({ user: 'Ada' })
    }
    app.open()
    await loaded([app], 1)
    // Not yet at its end, where it refreshes the session.
    pass(MINUTE / 2)
    expect((await visitor.ask(app)).session).toMatchObject({ user: 'Ada', slow: 1 })
    app.open()
    expect((await slow).session).toMatchObject({ user: 'Ada' })
  })

  test('where one that is longer touches', async () => {
    await using stores = start()
    const sid = await stores.create({ a: 1 })
    const slow = await load(stores.here, sid)
    pass(MINUTE / 2)
    await end(stores.elsewhere, await load(stores.elsewhere, sid))
    pass(MINUTE / 2 + 1000)
    await stores.here.touch(sid, slow)
    expect(await stores.stored(sid)).toEqual({ a: 1 })
    expect(await leftOf(stores, sid)).toBe(MINUTE / 2 - 1000)
  })

  test('and a save that came after it is none of what others have written since', async () => {
    await using stores = start({ touchAfter: 0 })
    const sid = await stores.create({ a: 1 })
    const mine = await load(stores.here, sid)
    const theirs = await load(stores.elsewhere, sid)
    pass(MINUTE + 1000)
    mine.b = 'mine'
    await save(mine)
    theirs.b = 'theirs'
    await save(theirs.touch() as LiveSession)
    delete mine.b
    await save(mine.touch() as LiveSession)
    expect(await stores.stored(sid)).toEqual({ a: 1 })
  })

  test('while one whose life the application ends is gone, for those who had it before, too', async () => {
    await using stores = start({ touchAfter: 30 })
    for (const how of ['set', 'touch', 'update'] as const) {
      const sid = await stores.create({ a: 1 })
      const slow = await load(stores.elsewhere, sid)
      if (how === 'update') {
        await stores.here.update(sid, data => {
          Object.assign(data.cookie, { originalMaxAge: 0, expires: new Date(0) })
        })
      } else {
        const live = await load(stores.here, sid)
        live.cookie.maxAge = 0
        await stores.here[how](sid, live)
      }
      expect(await stores.stored(sid)).toBeNull()
      slow.b = 1
      await save(slow)
      expect(await stores.stored(sid)).toBeNull()
    }
  })

  test('and an idle one is gone in time', async () => {
    await using stores = start({ touchAfter: 30 })
    const sid = await stores.create({ a: 1 })
    const slow = await load(stores.here, sid)
    pass(MINUTE + 31_000)
    expect(await stores.stored(sid)).toBeNull()
    expect(await stores.here.update(sid, () => expect.fail('called'))).toBeNull()
    slow.b = 1
    await save(slow)
    expect(await stores.stored(sid)).toBeNull()
  })
})

describe.skipIf(servers === null)('"remember me"', () => {
  const SHORT = 4000

  test.each(['before', 'after'])('outlives a save of another key that began %s it', async when => {
    await using app = await startApp({}, SHORT)
    const visitor = new Visitor()
    await visitor.ask(app, ['set', 'user', 'Ada'])
    const other: Step[] = [['wait'], ['set', 'other', 1], ['save']]
    const remember: Step[] = [['set', 'cookie.maxAge', MINUTE]]
    const early = visitor.tab().ask(app, ...(when === 'before' ? other : [['wait'] as const, ...remember]))
    await loaded([app], 1)
    if (when === 'before') await visitor.ask(app, ...remember)
    else await visitor.ask(app, ...other.slice(1))
    app.open()
    await early
    pass(MINUTE - 1000)
    expect((await visitor.ask(app)).session).toMatchObject({ user: 'Ada', other: 1 })
  })

  test.each(['set', 'touch', 'update'] as const)('is not undone by a %s of who read before', async how => {
    await using stores = start()
    const sid = randomUUID()
    await stores.elsewhere.set(sid, makeSession({ user: 'Ada' }, SHORT))
    const [live, slow] = await Promise.all([load(stores.elsewhere, sid), load(stores.here, sid)])
    live.cookie.maxAge = MINUTE
    await stores.elsewhere.touch(sid, live)
    pass(1000)
    if (how === 'update') {
      await stores.here.update(sid, data => {
        Object.assign(data, { n: 1 })
      })
    } else {
      if (how === 'set') slow.n = 1
      await stores.here[how](sid, slow.touch())
    }
    expect(await leftOf(stores, sid)).toBe(MINUTE - 1000)
    expect((await stores.read(sid)).cookie.originalMaxAge).toBe(MINUTE)
  })

  test('is kept where it is saved, touched and saved again in one request, and by later ones', async () => {
    await using stores = start()
    const sid = randomUUID()
    await stores.elsewhere.set(sid, makeSession({ user: 'Ada' }, SHORT))
    const live = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      theirs.b = 1
    })
    live.cookie.maxAge = MINUTE
    live.a = 1
    await save(live)
    await end(stores.here, live)
    await save(live)
    expect(await leftOf(stores, sid)).toBe(MINUTE)
    pass(30_000)
    await end(stores.elsewhere, await load(stores.elsewhere, sid))
    expect(await leftOf(stores, sid)).toBe(MINUTE)
    expect(await stores.stored(sid)).toEqual({ user: 'Ada', a: 1, b: 1 })
  })

  test('changed while a save is on its way is stored by the touch after it', async () => {
    await using stores = start()
    const sid = randomUUID()
    await stores.elsewhere.set(sid, makeSession({ user: 'Ada' }, HOUR))
    const live = await load(stores.here, sid)
    live.a = 1
    const saving = save(live)
    live.cookie.maxAge = MINUTE
    await saving
    await end(stores.here, live)
    expect(await leftOf(stores, sid)).toBe(MINUTE)
  })

  test('is taken back by the request that gave it, beside saves of others', async () => {
    await using stores = start({ touchAfter: 0 })
    const sid = await stores.create({ a: 1 })
    const live = await load(stores.here, sid)
    for (const how of ['set', 'touch'] as const) {
      live.cookie.maxAge = HOUR
      if (how === 'set') live.b = 1
      await stores.here[how](sid, live)
      await stores.edit(sid, theirs => {
        theirs[`beside-${how}`] = 1
      })
      live.cookie.maxAge = MINUTE
      if (how === 'set') live.b = 2
      await stores.here[how](sid, live)
      expect(await leftOf(stores, sid)).toBe(MINUTE)
    }
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 2, 'beside-set': 1, 'beside-touch': 1 })
  })

  test('by an update holds beside a touch and a save', async () => {
    await using stores = start({ touchAfter: 0 })
    const sid = await stores.create({ a: 1 })
    const [live, slow] = await Promise.all([load(stores.here, sid), load(stores.elsewhere, sid)])
    const remembering = stores.here.update(sid, ({ cookie }) => {
      Object.assign(cookie, { originalMaxAge: HOUR, expires: new Date(Date.now() + HOUR) })
    })
    slow.b = 1
    await Promise.all([remembering, end(stores.here, live), save(slow.touch() as LiveSession)])
    expect(await leftOf(stores, sid)).toBe(HOUR)
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 1 })
  })

  test('is the later one’s where two requests change it', async () => {
    for (const second of ['set', 'touch'] as const) {
      await using stores = start()
      const sid = randomUUID()
      await stores.elsewhere.set(sid, makeSession({ user: 'Ada' }, MINUTE))
      const [one, two] = await Promise.all([load(stores.elsewhere, sid), load(stores.here, sid)])
      one.cookie.maxAge = HOUR
      await end(stores.elsewhere, one)
      two.cookie.maxAge = 2 * MINUTE
      if (second === 'set') two.n = 1
      await stores.here[second](sid, two.touch())
      expect(await leftOf(stores, sid)).toBe(2 * MINUTE)
    }
  })
})

describe.skipIf(servers === null)('the date of a session', () => {
  test.each(['merge', 'overwrite', 'resolver'])(
    'is not moved back over a touch by a save in the middle (%s)',
    async onConflict => {
      await using stores = start({
        onConflict: onConflict === 'resolver' ? (_base, mine) => mine : (onConflict as 'merge'),
      })
      const sid = await stores.create({ a: 1 })
      const slow = await load(stores.here, sid)
      pass(50_000)
      await end(stores.elsewhere, await load(stores.elsewhere, sid))
      pass(5000)
      slow.b = 1
      await save(slow)
      expect(await leftOf(stores, sid)).toBe(55_000)
      expect(await stores.stored(sid)).toEqual({ a: 1, b: 1 })
    },
  )

  test('nor over a save, in memcached either', async () => {
    await using stores = start({ touchAfter: 0 })
    const sid = randomUUID()
    await stores.elsewhere.set(sid, makeSession({ a: 1 }, HOUR))
    const slow = await load(stores.here, sid)
    const quick = await load(stores.elsewhere, sid)
    pass(HOUR / 2)
    quick.c = 1
    await save(quick.touch() as LiveSession)
    slow.b = 1
    await save(slow)
    expect(await leftOf(stores, sid)).toBe(HOUR)
    expect(await endOf(sid)).toBeGreaterThanOrEqual((await raw.time()) + 3600)
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 1, c: 1 })
  })

  test('nor by one that has it out of a list', async () => {
    await using stores = start()
    const sid = await stores.create({ a: 1 })
    const sessions = (await stores.here.getMany([sid])) as Map<string, AnySession>
    const listed: AnySession[] = []
    for await (const one of stores.here.sessions()) {
      if (one.sid === sid) listed.push(one.session as AnySession)
    }
    pass(50_000)
    await end(stores.elsewhere, await load(stores.elsewhere, sid))
    for (const [turn, found] of [...sessions.values(), ...listed].entries()) {
      found[`turn-${turn}`] = turn
      await stores.here.set(sid, found)
    }
    expect(await leftOf(stores, sid)).toBe(MINUTE)
    expect(await stores.stored(sid)).toEqual({ a: 1, 'turn-0': 0, 'turn-1': 1 })
  })

  test('is given, and taken away, beside a save of another key', async () => {
    await using stores = start()
    const sid = randomUUID()
    const undated = makeSession({ a: 1 })
    Object.assign(undated.cookie, { originalMaxAge: null, expires: null })
    await stores.elsewhere.set(sid, undated)
    let [live, slow] = await Promise.all([load(stores.elsewhere, sid), load(stores.here, sid)])
    live.cookie.maxAge = MINUTE
    await end(stores.elsewhere, live)
    slow.b = 1
    await save(slow.touch() as LiveSession)
    expect(await leftOf(stores, sid)).toBe(MINUTE)
    ;[live, slow] = await Promise.all([load(stores.elsewhere, sid), load(stores.here, sid)])
    live.cookie.expires = null
    await end(stores.elsewhere, live)
    slow.c = 1
    await save(slow.touch() as LiveSession)
    expect((await stores.read(sid)).cookie).toMatchObject({ originalMaxAge: null, expires: null })
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 1, c: 1 })
  })

  test.each([60, 86_400])('that another gives outlives a touch of who knows none (ttl %i)', async ttl => {
    await using stores = start({ ttl })
    const sid = randomUUID()
    const undated = makeSession({ a: 1 })
    Object.assign(undated.cookie, { originalMaxAge: null, expires: null })
    await stores.elsewhere.set(sid, undated)
    const [live, slow] = await Promise.all([load(stores.elsewhere, sid), load(stores.here, sid)])
    live.cookie.maxAge = HOUR
    await end(stores.elsewhere, live)
    await end(stores.here, slow)
    expect(await endOf(sid)).toBeGreaterThanOrEqual((await raw.time()) + HOUR / 1000)
    expect(await leftOf(stores, sid)).toBe(HOUR)
    pass(HOUR + HOUR / 100 + 1000)
    expect(await stores.stored(sid)).toBeNull()
  })

  test('and the other attributes of its cookie are merged one by one', async () => {
    await using stores = start()
    const sid = await stores.create({ a: 1 })
    const [live, slow] = await Promise.all([load(stores.elsewhere, sid), load(stores.here, sid)])
    live.cookie.sameSite = 'strict'
    live.cookie.maxAge = HOUR
    live.n = 1
    await save(live)
    slow.cookie.domain = 'example.org'
    slow.m = 1
    await save(slow)
    expect((await stores.read(sid)).cookie).toMatchObject({
      sameSite: 'strict',
      domain: 'example.org',
      originalMaxAge: HOUR,
    })
    expect(await leftOf(stores, sid)).toBe(HOUR)
  })
})

describe.skipIf(servers === null)('a life that a request shortens by less than `touchAfter`', () => {
  test.each(['touch', 'set'] as const)('is stored by a %s', async how => {
    await using stores = start()
    const sid = randomUUID()
    await stores.elsewhere.set(sid, makeSession({ a: 1 }, HOUR))
    const live = await load(stores.here, sid)
    live.cookie.maxAge = HOUR - 10_000
    await stores.here[how](sid, live)
    expect(await leftOf(stores, sid)).toBe(HOUR - 10_000)
    expect((await stores.read(sid)).cookie.originalMaxAge).toBe(HOUR - 10_000)
  })

  test('stays so for those who read before', async () => {
    await using stores = start({ touchAfter: 0 })
    const sid = await stores.create({ a: 1 })
    const [live, slow] = await Promise.all([load(stores.here, sid), load(stores.elsewhere, sid)])
    live.cookie.maxAge = 5000
    await end(stores.here, live)
    await end(stores.elsewhere, slow)
    expect(await leftOf(stores, sid)).toBe(5000)
    slow.b = 1
    await save(slow.touch() as LiveSession)
    expect(await leftOf(stores, sid)).toBe(5000)
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 1 })
  })

  test('is stored beside another’s save', async () => {
    await using stores = start()
    const sid = randomUUID()
    await stores.elsewhere.set(sid, makeSession({ a: 1 }, HOUR))
    const live = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      theirs.b = 1
    })
    live.cookie.maxAge = HOUR - 10_000
    await end(stores.here, live)
    expect(await leftOf(stores, sid)).toBe(HOUR - 10_000)
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 1 })
  })
})

describe.skipIf(servers === null)('with a `ttl` function that looks at the data', () => {
  const ttl = (data: unknown): number => ((data as { until: number }).until - Date.now()) / 1000

  /** Lives for a minute, as its data say; its cookie would live for an hour. */
  async function create(stores: TwoStores): Promise<string> {
    const sid = randomUUID()
    await stores.elsewhere.set(sid, makeSession({ until: Date.now() + MINUTE }, HOUR))
    return sid
  }

  function prolong(stores: TwoStores, sid: string): Promise<void> {
    return stores.edit(sid, theirs => {
      theirs.until = Date.now() + HOUR
    })
  }

  test.each(['set', 'touch', 'update'] as const)(
    'a longer life is kept by a %s that knows none',
    async how => {
      await using stores = start({ ttl, touchAfter: 1 })
      const sid = await create(stores)
      const slow = await load(stores.here, sid)
      await prolong(stores, sid)
      pass(2000)
      if (how === 'set') slow.n = 1
      if (how === 'update') {
        await stores.here.update(sid, data => {
          Object.assign(data, { n: 1 })
        })
      } else {
        await stores.here[how](sid, slow.touch())
      }
      expect(await endOf(sid)).toBeGreaterThanOrEqual((await raw.time()) + 3590)
    },
  )

  test.each(['set', 'touch'] as const)(
    'one that others made longer is not ended by a %s of before',
    async how => {
      await using stores = start({ ttl })
      const sid = await create(stores)
      const slow = await load(stores.here, sid)
      await prolong(stores, sid)
      pass(MINUTE + 1000)
      if (how === 'set') slow.n = 1
      await stores.here[how](sid, slow.touch())
      expect(await stores.stored(sid)).toMatchObject({
        until: expect.any(Number),
        ...(how === 'set' && { n: 1 }),
      })
    },
  )

  test('one that the request ends itself is ended, for all', async () => {
    await using stores = start({ ttl })
    const sid = await create(stores)
    const [live, slow] = await Promise.all([load(stores.here, sid), load(stores.elsewhere, sid)])
    live.until = 0
    await save(live)
    expect(await stores.stored(sid)).toBeNull()
    slow.n = 1
    await save(slow)
    expect(await stores.stored(sid)).toBeNull()
  })
})

describe.skipIf(servers === null)('a refresh of the date is no conflict', () => {
  test.each(['reject', 'resolver'])('for a save with `onConflict` %s', async how => {
    const onConflict = how === 'reject' ? 'reject' : (): never => expect.fail('called')
    await using stores = start({ onConflict })
    const sid = await stores.create({ a: 1 })
    const slow = await load(stores.here, sid)
    pass(30_000)
    await end(stores.elsewhere, await load(stores.elsewhere, sid))
    slow.b = 1
    await save(slow)
    expect(await leftOf(stores, sid)).toBe(MINUTE)
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 1 })
    // Nor is another one's save for a refresh.
    const reader = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      theirs.c = 1
    })
    pass(30_000)
    await end(stores.here, reader)
    expect(await leftOf(stores, sid)).toBe(MINUTE)
    expect(await stores.stored(sid)).toEqual({ a: 1, b: 1, c: 1 })
    expect(stores.conflicts).toEqual([])
  })
})

describe.skipIf(servers === null)(
  'no session outlives its life by more than `touchAfter` and a second',
  () => {
    test.each<[string, MemcachedStoreOptions, number, number]>([
      ['without a date', { ttl: 50 }, 50, 0.5],
      ['without a date, touchAfter 1.5', { ttl: 50, touchAfter: 1.5 }, 50, 1.5],
      ['with a ttl function', { ttl: () => 50 }, 50, 0.5],
      ['with a ttl function, touchAfter 0', { ttl: () => 50, touchAfter: 0 }, 50, 0],
    ])('%s', async (_, options, life, slack) => {
      await using stores = start(options)
      const live = generate(stores.here)
      live.cookie.expires = null
      const left = async (): Promise<number> => (await endOf(live.id)) - (await raw.time())
      live.a = 1
      await save(live)
      expect(await left()).toBeLessThanOrEqual(life + slack + 1)
      await end(stores.elsewhere, await load(stores.elsewhere, live.id))
      expect(await left()).toBeLessThanOrEqual(life + slack + 1)
      expect(await stores.stored(live.id)).toEqual({ a: 1 })
    })
  },
)
