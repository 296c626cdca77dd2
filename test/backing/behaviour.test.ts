import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import session, { MemoryStore, type SessionData } from 'express-session'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { type Data, sessionOf } from '../contract/calls.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { load, save } from '../overlap/live.ts'
import { OPCODE } from '../support/frames.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { NOBODY } from '../support/port.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'

type Callback = (error?: unknown, value?: never) => void

/** Milliseconds by which a session of a second is kept longer than its date, at most. */
const SLACK = 10

/** A store in memory that counts its calls, and fails on demand. */
class Backing extends session.MemoryStore {
  readonly calls: string[] = []
  failure: Error | null = null
  /** Like connect-pg-simple it leaves the stored cookie alone. */
  override touch(sid: string, _data: SessionData, done: Callback): void {
    this.#call('touch', sid, done, () => done())
  }

  override get(sid: string, done: never): void {
    this.#call('get', sid, done, () => super.get(sid, done))
  }

  override set(sid: string, data: SessionData, done: never): void {
    this.#call('set', sid, done, () => super.set(sid, data, done))
  }

  override destroy(sid: string, done: never): void {
    this.#call('destroy', sid, done, () => super.destroy(sid, done))
  }

  #call(name: string, sid: string, done: Callback, go: () => void): void {
    this.calls.push(`${name} ${sid}`)
    if (this.failure === null) go()
    else setImmediate(done, this.failure)
  }

  count(name: string, sid: string): number {
    return this.calls.filter(call => call === `${name} ${sid}`).length
  }
}

/** As its next request leaves it: the same life, from now on. */
function refreshed<T extends SessionData>(one: T, left: number): T {
  const { originalMaxAge } = one.cookie
  one.cookie.expires = new Date(Date.now() + left)
  one.cookie.originalMaxAge = originalMaxAge
  return one
}

/** Waits until this session is over, as far as is known to who has read it. */
async function pastDate({ cookie }: SessionData): Promise<void> {
  await until(() => Number(new Date(cookie.expires as never)) + SLACK < Date.now())
}

describe.skipIf(!hasMemcached)('with a backing store', () => {
  let memcached: Memcached
  let sid: string
  beforeAll(async () => {
    memcached = await Memcached.start()
  })
  afterAll(() => memcached.kill())
  beforeEach(() => {
    sid = randomUUID()
  })

  function create(options: MemcachedStoreOptions = {}): { store: MemcachedStore; backing: Backing } {
    const backing = (options.backing as Backing | undefined) ?? new Backing()
    const store = new MemcachedStore({ servers: memcached.address, timeout: 2000, ...options, backing })
    onTestFinished(() => store.close())
    return { store, backing }
  }

  test('a read that memcached can answer does not ask it', async () => {
    const { store, backing } = create()
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    expect(backing.calls).toEqual([`set ${sid}`])
  })

  test('what memcached has lost comes back from it, once', async () => {
    const { store, backing } = create()
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    await memcached.restart()
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    expect(backing.count('get', sid)).toBe(1)
    expect((await store.stats()).counts).toMatchObject({ refills: 1, backingWrites: 1, backingFailures: 0 })
  })

  test('what memcached has lost can be updated at once', async () => {
    const { store } = create()
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    await new RawMemcached(memcached.address).delete(`sess:${sid}`)
    expect(await store.update(sid, one => Object.assign(one, { b: 2 }))).toMatchObject({ a: 1, b: 2 })
  })

  test('sessions that it has from before are simply there, though their stored date is over', async () => {
    const { store, backing } = create()
    // As connect-pg-simple leaves them: `touch` made the row live on, and left its cookie as it was.
    const cookie = { originalMaxAge: 60_000, expires: new Date(Date.now() - 5000), path: '/' }
    Object.assign(backing, { get: (_: string, done: Callback) => done(null, { cookie, a: 1 } as never) })
    const found = (await store.get(sid)) as SessionData
    expect(found).toMatchObject({ a: 1, cookie: { originalMaxAge: 60_000 } })
    expect(new Date(found.cookie.expires as never).getTime()).toBeGreaterThan(Date.now() - 1000)
  })

  test('a save in the middle of a request does not shorten the life of such a session', async () => {
    const { store, backing } = create()
    const cookie = { originalMaxAge: 60_000, expires: new Date(Date.now() - 5000), path: '/' }
    Object.assign(backing, { get: (_: string, done: Callback) => done(null, { cookie, a: 1 } as never) })
    const found = (await store.get(sid)) as SessionData
    let kept: SessionData | undefined
    Object.assign(backing, {
      set(_: string, data: SessionData, done: Callback) {
        kept = data
        done()
      },
    })
    await store.set(sid, Object.assign(found, { b: 2 }))
    expect(Number(kept?.cookie.expires)).toBeGreaterThan(Date.now() + 45_000)
  })

  test('one whose short life is nearly over by the slack of memcached’s clock keeps its date', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const { store, backing } = create()
    const expires = new Date(Date.now() + 1900)
    const cookie = { originalMaxAge: 2000, expires, path: '/' }
    Object.assign(backing, { get: (_: string, done: Callback) => done(null, { cookie, a: 1 } as never) })
    const found = (await store.get(sid)) as SessionData
    expect(new Date(found.cookie.expires as never)).toEqual(expires)
  })

  test('it is touched when the stored date is renewed, and once per `touchAfter`', async () => {
    const { store, backing } = create({ touchAfter: 5 })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const found = (await store.get(sid)) as SessionData
    await store.touch(sid, Object.assign(found, sessionOf({ a: 1 }, 60_000)))
    expect(backing.calls).toEqual([`set ${sid}`])
    await store.touch(sid, refreshed(sessionOf({ a: 1 }, 60_000), 90_000))
    expect(backing.calls).toEqual([`set ${sid}`, `touch ${sid}`])
  })

  test('it is told until when to keep a session, and stores its cookie as it is', async () => {
    const { store, backing } = create({ touchAfter: 300 })
    let kept: SessionData | undefined
    Object.assign(backing, {
      set(_: string, data: SessionData, done: Callback) {
        kept = data
        done()
      },
    })
    const given = sessionOf({ a: 1 }, 60_000)
    await store.set(sid, given)
    const date = (given.cookie.expires as Date).getTime()
    expect(Number(kept?.cookie.expires)).toBeGreaterThan(date + 299_000)
    expect(JSON.parse(JSON.stringify(kept)).cookie.expires).toBe(new Date(date).toISOString())
  })

  test('a save that finds a session nowhere is a late one, and dropped, however long ago the logout was', async () => {
    const { store } = create({ tombstone: 1 })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const held = (await store.get(sid)) as SessionData
    await store.destroy(sid)
    await memcached.restart()
    const conflicts: unknown[] = []
    store.on('conflict', (_, detail) => conflicts.push(detail))
    await store.set(sid, Object.assign(held, { b: 2 }))
    expect(await store.get(sid)).toBeNull()
    await until(() => conflicts.length === 1)
    expect(conflicts).toEqual([{ outcome: 'destroyed' }])
  })

  test('a save over what memcached has lost is merged with what it has', async () => {
    const { store } = create()
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const held = (await store.get(sid)) as SessionData
    const other = (await store.get(sid)) as SessionData
    await store.set(sid, Object.assign(other, { b: 2 }))
    await memcached.restart()
    await store.set(sid, Object.assign(held, { c: 3 }))
    expect(await store.get(sid)).toMatchObject({ a: 1, b: 2, c: 3 })
  })

  test('a save that failed is known for one’s own where memcached has lost it, and its date has moved', async () => {
    const { store, backing } = create({ onConflict: 'reject' })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const mine = await load(store, sid)
    backing.failure = new Error('down')
    await expect(save(Object.assign(mine, { b: 2 }))).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    backing.failure = null
    // It was stored all the same, and has been read and touched since.
    const kept = refreshed((await store.get(sid)) as SessionData, 70_000)
    session.MemoryStore.prototype.set.call(backing, sid, kept)
    await new RawMemcached(memcached.address).delete(`sess:${sid}`)
    delete mine.b
    await save(mine)
    expect(await store.get(sid)).not.toHaveProperty('b')
  })

  test('a save does not overtake what is made up for just then', async () => {
    const { store, backing } = create()
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const mine = await load(store, sid)
    backing.failure = new Error('down')
    await expect(save(Object.assign(mine, { b: 2 }))).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    backing.failure = null
    const carriedOut: string[] = []
    const held: (() => void)[] = []
    const set = backing.set.bind(backing)
    Object.assign(backing, {
      set(id: string, data: SessionData, done: never) {
        const goOn = (): void => {
          carriedOut.push(Object.keys(data).join(' '))
          set(id, data, done)
        }
        if (held.length === 0) held.push(goOn)
        else goOn()
      },
    })
    await until(() => held.length === 1)
    const saved = save(Object.assign(mine, { c: 3 }))
    await Promise.race([saved, sleep(50)])
    held[0]?.()
    await saved
    expect(carriedOut).toEqual(['cookie a b', 'cookie a b c'])
  })

  test('a save whose answer comes late puts nothing older back where memcached has lost a later one', async () => {
    const behind = new Backing()
    const slow = new Backing()
    const answers: (() => void)[] = []
    const late = (name: 'get' | 'set'): void => {
      const call = behind[name].bind(behind) as (...args: unknown[]) => void
      Object.assign(slow, {
        [name]: (...args: unknown[]) => {
          const done = args.pop() as Callback
          call(...args, (...answer: [never, never]) => answers.push(() => done(...answer)))
        },
      })
    }
    for (const name of ['get', 'set'] as const) Object.assign(slow, { [name]: behind[name].bind(behind) })
    const [one, other] = [create({ backing: slow }).store, create({ backing: behind }).store]
    await other.set(sid, sessionOf({ a: 1 }, 60_000))
    late('set')
    const saved = one.set(sid, Object.assign((await one.get(sid)) as SessionData, { a: 2 }))
    await until(() => answers.length === 1)
    await other.set(sid, Object.assign((await other.get(sid)) as SessionData, { b: 3 }))
    const raw = new RawMemcached(memcached.address)
    await raw.delete(`sess:${sid}`)
    // Another process asks the backing store, and has not heard from it yet.
    Object.assign(slow, { set: behind.set.bind(behind) })
    late('get')
    const { store: asking } = create({ backing: slow })
    const asked = asking.get(sid)
    await until(() => answers.length === 2)
    Object.assign(slow, { get: behind.get.bind(behind) })
    answers[0]?.()
    await saved
    answers[1]?.()
    expect(await asked).toMatchObject({ a: 2, b: 3 })
    expect(await other.get(sid)).toMatchObject({ a: 2, b: 3 })
  })

  test('a save that meets who asks the backing store stores nothing older than what he has gone on to', async () => {
    await using proxy = await TcpProxy.start(memcached.address)
    const backing = new Backing()
    const carriedOut: string[] = []
    const held: (() => void)[] = []
    const holding = (name: 'get' | 'set'): Backing => {
      const slow = new Backing()
      for (const each of ['get', 'set'] as const) {
        const call = backing[each].bind(backing) as (...args: unknown[]) => void
        const go = (...args: unknown[]): void => {
          if (each === 'set') carriedOut.push(Object.keys(args[1] as object).join(' '))
          call(...args)
        }
        let isHeld = each === name
        Object.assign(slow, {
          [each]: (...args: unknown[]) => {
            if (isHeld) held.push(() => go(...args))
            else go(...args)
            isHeld = false
          },
        })
      }
      return slow
    }
    const { store: first } = create({ backing })
    await first.set(sid, sessionOf({ a: 1 }, 60_000))
    const one = create({ backing: holding('set'), servers: proxy.address }).store
    const mine = await load(one, sid)
    const saved = save(Object.assign(mine, { b: 2 }))
    await until(() => held.length === 1)
    await new RawMemcached(memcached.address).delete(`sess:${sid}`)
    const other = create({ backing: holding('get') }).store
    const asked = load(other, sid)
    await until(() => held.length === 2)
    const seen = proxy.holdFrom(OPCODE.get)
    held[0]?.()
    await seen
    held[1]?.()
    await save(Object.assign(await asked, { c: 3 }))
    await proxy.pass()
    await saved
    // It is stored once more with what it has met, since memcached has lost it in between.
    expect(carriedOut.lastIndexOf('cookie a b')).toBe(0)
    expect(await other.get(sid)).toMatchObject({ a: 1, b: 2, c: 3 })
  })

  test('what waits for a save that it keeps waiting finds the session that another has made longer meanwhile', async () => {
    const { store, backing } = create()
    const other = create({ backing }).store
    await store.set(sid, sessionOf({ a: 1 }, 1000))
    const mine = (await store.get(sid)) as SessionData
    let answer: () => void = () => {}
    const set = backing.set.bind(backing)
    Object.assign(backing, {
      set(id: string, data: SessionData, done: () => void) {
        Object.assign(backing, { set })
        answer = () => set(id, data, done as never)
      },
    })
    const saving = store.set(sid, Object.assign(mine, { b: 1 }))
    await until(async () => 'b' in ((await other.get(sid)) as object))
    const updating = store.update(sid, one => Object.assign(one, { count: 1 }))
    await other.set(sid, refreshed((await other.get(sid)) as SessionData, 60_000))
    await pastDate(mine)
    answer()
    await saving
    expect(await updating).toMatchObject({ a: 1, b: 1, count: 1 })
  })

  test('while memcached is away it serves and saves alone, and update says that it needs memcached', async () => {
    const { store, backing } = create()
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    await memcached.freeze()
    const found = (await store.get(sid)) as SessionData
    await store.set(sid, Object.assign(found, { b: 2 }))
    const gone = randomUUID()
    await store.set(gone, sessionOf({}, 60_000))
    await store.destroy(gone)
    await Promise.all(
      [1, 2, 3].map(n =>
        store.get(sid).then(one => store.set(sid, Object.assign(one as never, { [`k${n}`]: n }))),
      ),
    )
    await expect(store.update(sid, () => {})).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
    await expect(store.withLock(sid, () => {}, { wait: 0 })).rejects.toMatchObject({ status: 503 })
    memcached.thaw()
    const other = create({ backing }).store
    // What memcached held of before must not be seen: by this process at once, by others when that has paid.
    expect(await store.get(sid)).toMatchObject({ a: 1, b: 2, k1: 1, k2: 2, k3: 3 })
    expect(await store.get(gone)).toBeNull()
    await until(async () => ((await other.get(sid)) as Data | null)?.b)
    expect(await other.get(sid)).toMatchObject({ a: 1, b: 2, k1: 1, k2: 2, k3: 3 })
  })

  test('after memcached was away, what is made up for does not go by what that held', async () => {
    await using away = await Memcached.start()
    await using proxy = await TcpProxy.start(away.address)
    const { store, backing } = create({ servers: proxy.address, timeout: 200 })
    const other = create({ servers: away.address, timeout: 200, backing }).store
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const [mine, theirs] = [await load(store, sid), await load(other, sid)]
    backing.failure = new Error('down')
    await expect(save(Object.assign(mine, { b: 2 }))).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    await away.freeze()
    backing.failure = null
    // It tries to make up for it, and finds memcached away.
    const tries = proxy.count(OPCODE.get)
    await until(() => proxy.count(OPCODE.get) > tries)
    await save(Object.assign(theirs, { c: 3 }))
    await other.close()
    await until(() => proxy.open === 0)
    away.thaw()
    backing.calls.length = 0
    proxy.requests.clear()
    await until(() => proxy.count(OPCODE.get) > 0)
    // Over the same connection: what came before it has been dealt with.
    await store.get(randomUUID())
    expect(backing.count('set', sid)).toBe(0)
    expect(await store.get(sid)).toMatchObject({ a: 1, c: 3 })
  })

  test('an outage that only an index of users has met is one for sessions, too', async () => {
    await using away = await Memcached.start()
    await using there = await Memcached.start()
    const userOf = (one: SessionData): string | undefined => (one as Data).user as string | undefined
    const options = { servers: [away.address, there.address], timeout: 200, userOf }
    const { store, backing } = create(options)
    const other = create({ ...options, backing }).store
    const [onAway, onThere] = [new RawMemcached(away.address), new RawMemcached(there.address)]
    const sidOn = (raw: RawMemcached): Promise<string> =>
      until(async () => {
        const id = randomUUID()
        await store.set(id, sessionOf({ a: 1 }, 60_000))
        return (await raw.expirations()).has(`sess:${id}`) ? id : undefined
      })
    const [mine, login] = [await sidOn(onAway), await sidOn(onThere)]
    const user = await until(async () => {
      const name = randomUUID()
      await store.set(randomUUID(), sessionOf({ user: name }, 60_000))
      return [...(await onAway.expirations()).keys()].some(key => key.startsWith('sess:@')) ? name : undefined
    })
    const live = await load(store, login)
    await away.freeze()
    await save(Object.assign(live, { user }))
    // Knows from its read that nothing is to be sent: memcached would carry it out later on.
    await save(Object.assign(await load(other, mine), { b: 2 }))
    await other.close()
    away.thaw()
    await until(async () => (await store.stats()).servers.every(({ reachable }) => reachable))
    expect(await store.get(mine)).toMatchObject({ a: 1, b: 2 })
  })

  test('a save whose reply was lost, and whose looks after it as well, is not told to be done before it is stored', async () => {
    await using proxy = await TcpProxy.start(memcached.address)
    const { store, backing } = create({ servers: proxy.address })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const mine = await load(store, sid)
    let cuts = 3
    proxy.tamper((reply, opcode) => {
      // A look is sent once more where its connection broke.
      const isCut = (opcode === OPCODE.replace || opcode === OPCODE.get) && cuts-- > 0
      if (!isCut) return reply
      proxy.cutNow('reset')
      return null
    })
    const kept = new Promise<SessionData | null>((resolve, reject) => {
      save(Object.assign(mine, { b: 2 })).then(
        () => backing.get(sid, ((_: unknown, found: SessionData) => resolve(found)) as never),
        reject,
      )
    })
    expect(await kept).toMatchObject({ a: 1, b: 2 })
  })

  test('an outage that only a lock has met is one for sessions, too', async () => {
    await using away = await Memcached.start()
    const options = { servers: away.address, timeout: 200 }
    const { store, backing } = create(options)
    const other = create({ ...options, backing }).store
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    await away.freeze()
    await expect(store.withLock(sid, async () => {})).rejects.toMatchObject({ status: 503 })
    await save(Object.assign(await load(other, sid), { b: 2 }))
    await other.close()
    away.thaw()
    await until(async () => (await store.stats()).servers.every(({ reachable }) => reachable))
    expect(await store.get(sid)).toMatchObject({ a: 1, b: 2 })
  })

  test('after memcached was away, reads that overlap ask it once each', async () => {
    await using away = await Memcached.start()
    const { store, backing } = create({ servers: away.address, timeout: 100 })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    await away.freeze()
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    away.thaw()
    await until(() => store.update(sid, () => {}).catch(() => undefined))
    backing.calls.length = 0
    const found = await Promise.all(Array.from({ length: 150 }, () => store.get(sid)))
    expect(found).toEqual(found.map(() => expect.objectContaining({ a: 1 })))
    expect(backing.count('get', sid)).toBeGreaterThan(0)
    expect(backing.count('get', sid)).toBeLessThanOrEqual(150)
  })

  test('where it is down memcached serves, a miss is an error, a save fails, and a touch is left for later', async () => {
    const { store, backing } = create({ touchAfter: 0 })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    backing.failure = new Error('down')
    const found = (await store.get(sid)) as SessionData
    expect(found).toMatchObject({ a: 1 })
    await expect(store.get(randomUUID())).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
    const live = refreshed(store.createSession({} as never, found), 120_000)
    await store.touch(sid, live)
    await expect(store.set(sid, Object.assign(live, { b: 2 }))).rejects.toMatchObject({ status: 503 })
    expect(await store.get(sid)).toMatchObject({ a: 1, b: 2 })
    backing.failure = null
    // What it could not be told it is told as soon as it is back.
    await until(() => backing.count('set', sid) >= 3)
    await memcached.restart()
    expect(await store.get(sid)).toMatchObject({ a: 1, b: 2 })
  })

  test('what was stored while memcached was away is read though it was back before that was stored', async () => {
    await using proxy = await TcpProxy.start(memcached.address)
    const backing = new Backing()
    const { store } = create({ backing, servers: proxy.address, timeout: 300 })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const mine = await load(store, sid)
    proxy.silence()
    await expect(store.get(sid)).resolves.toMatchObject({ a: 1 })
    const set = backing.set.bind(backing)
    const held: (() => void)[] = []
    Object.assign(backing, { set: (...args: [string, SessionData, never]) => held.push(() => set(...args)) })
    const saved = save(Object.assign(mine, { b: 2 }))
    await until(() => held.length === 1)
    await proxy.pass()
    // It is paid what it is owed, and brought what the backing store still has: white space stands before that.
    const raw = new RawMemcached(memcached.address)
    await until(async () => {
      await store.get(sid)
      return /^\s+\{/.test(String((await raw.get(`sess:${sid}`))?.value))
    })
    Object.assign(backing, { set })
    held[0]?.()
    await saved
    // Whoever reads it first, and whenever.
    await until(async () => !String((await raw.get(`sess:${sid}`))?.value).includes('"a":1'))
    expect(await store.get(sid)).toMatchObject({ a: 1, b: 2 })
  })

  test('what memcached has that was away is not brought anew where it is the same', async () => {
    await using proxy = await TcpProxy.start(memcached.address)
    const { store, backing } = create({ touchAfter: 0, servers: proxy.address, timeout: 300 })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    // Of this date the backing store's cookie does not know.
    await store.touch(sid, refreshed(await load(store, sid), 90_000))
    proxy.silence()
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    await proxy.pass()
    const [asked, before] = [backing.count('get', sid), proxy.count(OPCODE.get)]
    await until(async () => {
      expect(await store.get(sid)).toMatchObject({ a: 1 })
      return proxy.count(OPCODE.get) > before
    })
    expect(backing.count('get', sid)).toBeGreaterThan(asked)
    expect((await store.stats()).counts.refills).toBe(0)
  })

  test('a date that memcached may have got alone is not promised before it is stored in it, too', async () => {
    await using proxy = await TcpProxy.start(memcached.address)
    const backing = new Backing()
    const { store } = create({ backing, servers: proxy.address, timeout: 300 })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const mine = refreshed(await load(store, sid), 90_000)
    const get = backing.get.bind(backing)
    const held: (() => void)[] = []
    Object.assign(backing, { get: (...args: [string, never]) => held.push(() => get(...args)) })
    proxy.loseNextReply('silence')
    const touched = store.touch(sid, mine)
    await until(() => held.length === 1)
    await proxy.pass()
    await until(() => store.withLock(randomUUID(), async () => true).catch(() => false))
    Object.assign(backing, { get })
    held[0]?.()
    await touched
    expect(backing.count('set', sid) + backing.count('touch', sid)).toBe(2)
  })

  test('a logout is remembered for longer than a save may be on its way to it', async () => {
    const { store } = create({ tombstone: 1, backingTimeout: 20_000 })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    await store.destroy(sid)
    const raw = new RawMemcached(memcached.address)
    const expires = (await raw.expiration(`sess:${sid}`)) as number
    expect(expires - (await raw.time())).toBeGreaterThanOrEqual(40)
  })

  test('a logout that it could not be told of is made up for', async () => {
    const { store, backing } = create({ tombstone: 1 })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    backing.failure = new Error('down')
    await expect(store.destroy(sid)).rejects.toMatchObject({ status: 503 })
    backing.failure = null
    await until(() => backing.count('destroy', sid) >= 2)
    await memcached.restart()
    expect(await store.get(sid)).toBeNull()
  })

  test('users and their sessions are known after memcached lost everything', async () => {
    const { store } = create({ userOf: one => (one as Data).user as string | undefined })
    const [first, second, other] = [randomUUID(), randomUUID(), randomUUID()]
    const user = `ada-${randomUUID()}`
    await store.set(first, sessionOf({ user }, 60_000))
    await store.set(second, sessionOf({ user }, 60_000))
    await store.set(other, sessionOf({ user: 'bob' }, 60_000))
    await memcached.restart()
    expect((await store.sessionsOf(user)).map(one => one.sid).sort()).toEqual([first, second].sort())
    await memcached.restart()
    await store.destroyAllOf(user)
    await memcached.restart()
    expect([...(await store.getMany([first, second, other])).keys()]).toEqual([other])
  })

  test('while memcached is away no login is left unlisted by a sign-out everywhere that overlaps it', async () => {
    await using away = await Memcached.start()
    const userOfData = (one: SessionData): string | undefined => (one as Data).user as string | undefined
    const { store, backing } = create({ servers: away.address, userOf: userOfData })
    await store.set(sid, sessionOf({ user: 'ada' }, 60_000))
    await away.kill()
    let carryOn: (() => void) | undefined
    const { destroy } = backing
    Object.assign(backing, {
      destroy(id: string, done: never) {
        carryOn = () => destroy.call(backing, id, done)
      },
    })
    const signedOut = store.destroyAllOf('ada')
    await until(() => carryOn)
    Object.assign(backing, { destroy })
    const login = randomUUID()
    await store.set(login, sessionOf({ user: 'ada' }, 60_000))
    carryOn?.()
    await signedOut
    const listed = (await store.sessionsOf('ada')).map(one => one.sid)
    expect(listed).toEqual((await store.get(login)) === null ? [] : [login])
  })

  test('a session that is too large for memcached is read, and saved when it is smaller', async () => {
    const { store, backing } = create({ maxItemSize: 4096 })
    const large = sessionOf({ a: 1, long: 'x'.repeat(5000) }, 60_000)
    await new Promise(done => backing.set(sid, large, done as never))
    const found = (await store.get(sid)) as Data
    expect(found).toMatchObject({ a: 1, long: large.long })
    await expect(store.set(sid, { ...found, b: 2 } as never)).rejects.toMatchObject({ code: 'ERR_TOO_LARGE' })
    found.long = 'x'
    await store.set(sid, found)
    expect(await store.get(sid)).toMatchObject({ a: 1, long: 'x' })
    expect((await store.stats()).counts).toMatchObject({ retries: 0 })
  })

  test('what is sealed in memcached is plain in it', async () => {
    const { store, backing } = create({ encryptionKeys: 'k'.repeat(32), hashKeys: true, compress: true })
    await store.set(sid, sessionOf({ a: 1, long: 'x'.repeat(4000) }, 60_000))
    await memcached.restart()
    expect(await store.get(sid)).toMatchObject({ a: 1 })
    expect(await store.update(sid, one => void Object.assign(one, { b: 2 }))).toMatchObject({ a: 1, b: 2 })
    expect(backing.count('set', sid)).toBe(2)
  })

  test('it is asked for lists, without the indexes of users, and cleared with memcached', async () => {
    const { store, backing } = create({ userOf: one => (one as Data).user as string | undefined })
    await store.set(sid, sessionOf({ user: 'ada' }, 60_000))
    await memcached.restart()
    expect(await store.ids()).toEqual([sid])
    expect(await store.length()).toBe(1)
    expect(await store.all()).toMatchObject([{ id: sid, user: 'ada' }])
    await store.clear()
    expect(await store.ids()).toEqual([])
    expect(await new Promise(done => backing.length((_error, length) => done(length)))).toBe(0)
  })

  test('one that cannot clear is not cleared by halves', async () => {
    const backing = Object.assign(new Backing(), { clear: undefined, all: undefined })
    const { store } = create({ backing })
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    await expect(store.clear()).rejects.toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
    expect(await store.ids(), 'memcached’s own list').toContain(sid)
  })
})

test('MemoryStore is a backing store like any other', async () => {
  const store = new MemcachedStore({ servers: NOBODY, backing: new MemoryStore() })
  onTestFinished(() => store.close())
  await store.set('a', sessionOf({ a: 1 }))
  expect(await store.get('a')).toMatchObject({ a: 1 })
})
