import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { MemcachedStore } from '../../lib/index.ts'
import { end, generate, save } from '../overlap/live.ts'
import { ScriptedApp } from '../overlap/scripted-app.ts'
import { loaded, Visitor } from '../overlap/visitor.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { OPCODE } from '../support/frames.ts'
import { TcpProxy } from '../support/proxy.ts'
import { type AnySession, peopleOn, sessionOf, userOf, withoutDate } from './people.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const TRIES = fewOrMany(8, 200)

describe.skipIf(memcached === undefined)('signing out everywhere', () => {
  const people = peopleOn(memcached)
  const { store } = people

  async function alive(sids: string[]): Promise<string[]> {
    return [...(await store.getMany(sids)).keys()]
  }

  test('ends every session of the user, and nobody else’s', async () => {
    const sids = [await people.login('ann'), await people.login('ann')]
    await store.set('dateless', withoutDate('ann'))
    const other = await people.login('bob')
    await store.destroyAllOf('ann')
    expect(await alive([...sids, 'dateless', other])).toEqual([other])
    expect(await people.sids('ann')).toEqual([])
    expect(await people.entries('ann')).toEqual([])
  })

  test('spares the one session that is named', async () => {
    const sids = [await people.login('cleo'), await people.login('cleo'), await people.login('cleo')]
    const except = sids[1] as string
    await store.destroyAllOf('cleo', { except })
    expect(await alive(sids)).toEqual([except])
    expect(await people.sids('cleo')).toEqual([except])
  })

  test('of somebody without sessions does nothing', async () => {
    await store.destroyAllOf('nobody')
    await store.destroyAllOf('nobody', { except: 'none' })
    expect(await people.entries('nobody')).toEqual([])
  })

  test('leaves a session alone that has become another user’s, or nobody’s', async () => {
    const sids = [await people.login('dora'), await people.login('dora'), await people.login('dora')]
    for (const [index, user] of ['emil', undefined].entries()) {
      const session = (await store.get(sids[index] as string)) as AnySession
      session.user = user
      await store.set(sids[index] as string, session)
    }
    await store.destroyAllOf('dora')
    expect(await alive(sids)).toEqual(sids.slice(0, 2))
  })

  test('refuses it to requests that loaded a session before', async () => {
    const sid = await people.login('fay')
    const elsewhere = people.another()
    const mine = (await elsewhere.get(sid)) as AnySession
    await store.destroyAllOf('fay')
    mine.a = 1
    await elsewhere.set(sid, mine)
    await elsewhere.touch(sid, mine)
    expect(await store.get(sid)).toBeNull()
  })

  test('does not hinder a login after it, not even one under the same id', async () => {
    const sid = await people.login('gus')
    await store.destroyAllOf('gus')
    await store.set(sid, sessionOf('gus'))
    expect(await people.sids('gus')).toEqual([sid])
    await store.destroy(sid)
    await store.set(sid, sessionOf('gus'))
    expect(await people.sids('gus')).toEqual([sid])
  })

  test('refuses it to a login that is listed and has not written its session yet', async () => {
    await using proxy = await TcpProxy.start(memcached)
    const slow = people.another({ servers: proxy.address, timeout: 5000 })
    const outcomes: string[] = []
    slow.on('conflict', (_sid, { outcome }) => outcomes.push(outcome))
    await people.login('hal')
    await slow.get('warm')
    // The server has listed the login, which does not know yet.
    const listed = proxy.holdFrom(OPCODE.replace)
    const login = people.login('hal', slow)
    await listed
    expect(await people.entries('hal')).toHaveLength(2)
    await store.destroyAllOf('hal')
    await proxy.pass()
    const sid = await login
    expect(await alive([sid])).toEqual([])
    expect(await people.sids('hal')).toEqual([])
    expect(outcomes).toEqual(['destroyed'])
  })

  test('holds for what the request of such a login saves later on', async () => {
    await using proxy = await TcpProxy.start(memcached)
    const slow = people.another({ servers: proxy.address, timeout: 5000 })
    await people.login('hedy')
    await slow.get('warm')
    const session = Object.assign(generate(slow), { user: 'hedy' })
    const listed = proxy.holdFrom(OPCODE.replace)
    const login = save(session)
    await listed
    await store.destroyAllOf('hedy')
    await proxy.pass()
    await login
    await save(Object.assign(session, { a: 1 }))
    await end(slow, session)
    expect(await alive([session.id])).toEqual([])
    expect(await people.sids('hedy')).toEqual([])
    // The next login is another one.
    const next = Object.assign(generate(slow), { user: 'hedy' })
    await save(next)
    expect(await alive([next.id])).toEqual([next.id])
  })

  test('comes again over a login that was listed meanwhile', async () => {
    await using proxy = await TcpProxy.start(memcached)
    const slow = people.another({ servers: proxy.address, timeout: 5000 })
    await people.login('ida')
    await slow.get('warm')
    // The tombstone is laid, and the index is still to be cleared.
    const laid = proxy.holdFrom(OPCODE.set)
    const signedOut = slow.destroyAllOf('ida')
    await laid
    const sid = await people.login('ida')
    await proxy.pass()
    await signedOut
    expect(await alive([sid])).toEqual([])
    expect(await people.entries('ida')).toEqual([])
  })

  test('is carried out although replies are lost', async () => {
    await using proxy = await TcpProxy.start(memcached)
    const shaky = people.another({ servers: proxy.address })
    const sids = [await people.login('jo'), await people.login('jo')]
    await shaky.get('warm')
    proxy.loseNextReply('fin')
    await shaky.destroyAllOf('jo')
    expect(await alive(sids)).toEqual([])
    expect(await people.entries('jo')).toEqual([])
  })
})

describe.skipIf(memcached === undefined)('signing out everywhere among logins and requests', () => {
  let here: ScriptedApp
  let there: ScriptedApp
  beforeAll(async () => {
    const store = { servers: memcached, prefix: `signing-out-${randomUUID()}:`, userOf, timeout: 5000 }
    // A store each, as in two processes: they share nothing but memcached.
    ;[here, there] = await Promise.all([ScriptedApp.start({ store }), ScriptedApp.start({ store })])
  })
  afterAll(() => Promise.all([here, there].map(app => app[Symbol.asyncDispose]())))

  test(`leaves none but the named one, ${TRIES} tries`, async () => {
    const apps = [here, there]
    const app = (index: number): ScriptedApp => apps[index % 2] as ScriptedApp
    const store = here.store as MemcachedStore
    let refused = 0
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const user = `user-${attempt}`
      const before = Array.from({ length: 6 }, () => new Visitor())
      const guests = Array.from({ length: 4 }, () => new Visitor())
      const logins = Array.from({ length: 4 }, () => new Visitor())
      const old = await Promise.all(before.map((one, at) => one.ask(app(at), ['set', 'user', user])))
      await Promise.all(guests.map((one, at) => one.ask(app(at), ['set', 'cart', at])))
      const except = old[0]?.sid as string

      // Requests that have loaded their session: of the user's, and of guests who are about to log in.
      const held = [
        ...before.flatMap(one =>
          one.start(apps, [[['set', 'clicks', 1]], [], [['increment', 'hits']], [['save']]]),
        ),
        ...guests.flatMap(one =>
          one.start(apps, [[['set', 'user', user]], [['regenerate'], ['set', 'user', user]]]),
        ),
      ]
      await loaded(apps, held.length)
      for (const each of apps) each.open()
      const fresh = logins.map((one, at) => one.ask(app(at), ['set', 'user', user]))
      const signedOut = store.destroyAllOf(user, { except })
      const answers = await Promise.all([...fresh, ...held])
      await signedOut

      const sids = [...new Set([...old, ...answers].map(({ sid }) => sid))]
      const lives = async (): Promise<string[]> => {
        const found = await store.getMany(sids)
        return sids.filter(sid => (found.get(sid) as AnySession | undefined)?.user === user)
      }
      const survivors = await lives()
      // Of those logged in before, only the named one; and no login that came after it is hidden.
      const wasOld = new Set(old.map(({ sid }) => sid))
      expect(survivors.filter(sid => wasOld.has(sid))).toEqual([except])
      expect((await store.sessionsOf(user)).map(({ sid }) => sid).sort()).toEqual([...survivors].sort())
      refused += (await Promise.all(fresh)).filter(({ sid }) => !survivors.includes(sid)).length
      await (there.store as MemcachedStore).destroyAllOf(user, { except })
      expect(await lives()).toEqual([except])
    }
    // It did meet logins on their way.
    expect(refused).toBeGreaterThan(0)
  })
})
