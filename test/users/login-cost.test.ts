import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { load } from '../overlap/live.ts'
import { DRIFTED } from '../support/drifted.ts'
import { OPCODE } from '../support/frames.ts'
import { Memcached } from '../support/memcached.ts'
import { isText, LOOK } from '../support/protocol.ts'
import { TcpProxy } from '../support/proxy.ts'
import { Stalls } from '../support/stalls.ts'
import { until } from '../support/until.ts'
import { type AnySession, People, sessionOf, userOf } from './people.ts'

const memcached = inject('memcached')?.split(',')[0] as string

describe.skipIf(memcached === undefined)('the cost of the index', () => {
  let proxy: TcpProxy
  let people: People
  beforeAll(async () => {
    proxy = await TcpProxy.start(memcached)
    people = new People(proxy.address)
  })
  afterAll(async () => {
    await people[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
  })

  /** Requests since the last time, by name. */
  function seen(): Record<string, number> {
    const names = Object.entries(OPCODE).map(([name, opcode]) => [name, proxy.count(opcode)] as const)
    proxy.requests.clear()
    return Object.fromEntries(names.filter(([, count]) => count > 0))
  }

  test('is two round trips for a login, and none for requests after it', async () => {
    const { store } = people
    await store.set('a', sessionOf('ann'))
    expect(seen()).toEqual({ get: isText ? 2 : 1, add: 2 })
    await store.set('b', sessionOf('ann'))
    expect(seen()).toEqual({ get: 1, replace: 1, add: 1 })
    const session = (await store.get('b')) as AnySession
    session.clicks = 1
    await store.set('b', session)
    await store.touch('b', session)
    expect(seen()).toEqual({ get: 1, replace: 1 })
    await store.touch('b', sessionOf('ann', {}, 80_000))
    expect(seen()).toEqual({ get: 1, replace: 1 })
    await store.destroy('b')
    expect(seen()).toEqual({ set: 1 })
  })

  test('is nothing for nobody’s sessions, and nothing without `userOf`', async () => {
    const without = new MemcachedStore({ servers: proxy.address, prefix: people.prefix })
    await without.set('c', sessionOf('ann'))
    await people.store.set('d', sessionOf(undefined))
    expect(seen()).toEqual({ set: 2, ...LOOK })
    await without.close()
  })
})

describe.skipIf(memcached === undefined)('a login that cannot be listed', () => {
  test('fails, and stores no session', async () => {
    await using one = await Memcached.start()
    await using other = await Memcached.start()
    const store = new MemcachedStore({ servers: [one.address, other.address], userOf, prefix: 'x:' })
    // Of enough users one is listed on the server that is gone, of enough sessions one is on the other.
    const sids = Array.from({ length: 20 }, (_, at) => `sid-${at}`)
    await Promise.all(sids.map(sid => store.set(sid, sessionOf(undefined))))
    await other.kill()
    const here = await Promise.all(sids.map(sid => store.get(sid).catch(() => null)))
    const sid = sids[here.findIndex(session => session !== null)] as string
    const outcomes: string[] = []
    for (let at = 0; at < 20; at++) {
      outcomes.push(
        await store.set(sid, sessionOf(`user-${at}`)).then(
          () => 'stored',
          (error: { code: string }) => error.code,
        ),
      )
    }
    expect(new Set(outcomes)).toEqual(new Set(['stored', 'ERR_UNAVAILABLE']))
    const last = outcomes.lastIndexOf('stored')
    expect(await store.get(sid)).toMatchObject({ user: `user-${last}` })
    await store.close()
  })

  test('has the time of one operation for it all', async () => {
    await using proxy = await TcpProxy.start(memcached)
    const timeout = 250
    await using people = new People(proxy.address, { timeout })
    await people.store.get('warm')
    // Each reply in time, all together not.
    proxy.delay(200)
    using stalls = new Stalls()
    const started = performance.now()
    const sid = randomUUID()
    await expect(people.store.set(sid, sessionOf('ann'))).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
    const ended = performance.now()
    expect(ended - started - stalls.within({ started, ended })).toBeLessThan(timeout + 100)
    await proxy.pass()
    // And nothing is written after it.
    await until(async () => (await people.entries('ann')).length === 1)
    expect(await people.store.get(sid)).toBeNull()
  })

  test('leaves nobody who waits behind it to what it had read', async () => {
    await using proxy = await TcpProxy.start(memcached)
    await using people = new People(proxy.address, { timeout: 1000, touchAfter: 1 })
    const other = people.another()
    const sid = randomUUID()
    await people.store.set(sid, sessionOf(undefined, {}, 60_000))
    const login = await load(people.store, sid)
    const shorter = await load(other, sid)
    shorter.cookie.maxAge = 20_000
    await other.touch(sid, shorter)
    const reader = await load(people.store, sid)
    reader.cookie.maxAge = 60_000

    // Each reply in time, those of the login together not.
    proxy.delay(600)
    proxy.requests.clear()
    login.user = 'ann'
    const failed = expect(people.store.set(sid, login)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
    await until(() => proxy.count(OPCODE.add) > 0)
    const touched = people.store.touch(sid, reader)
    await failed
    await proxy.pass()
    await touched
    // By what the login had read, a minute was stored already.
    expect((await people.store.get(sid))?.cookie.originalMaxAge).toBeCloseTo(60_000, DRIFTED)
  })
})
