import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { TOMBSTONE } from '../../lib/storage/stored-form.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { until } from '../support/until.ts'
import { type Answer, ScriptedApp, type Step } from './scripted-app.ts'
import { type App, ChildApp, loaded, Visitor } from './visitor.ts'

const servers = inject('memcached')
const TRIES = fewOrMany(6, 200)

/** What 20 slow requests do after they have loaded the session; each is saved or touched at its end, too. */
const slowScripts: Step[][] = Array.from({ length: 20 }, (_, number): Step[] => {
  const edit: Step = ['set', `slow-${number}`, true]
  const again: Step = ['set', `slow-${number}`, 'again']
  const kinds: Step[][] = [[edit], [], [edit, ['save']], [['save']], [edit, ['save'], again]]
  return kinds[number % kinds.length] as Step[]
})

/** Three ways to end a session id. */
const ends: Step[][] = [
  [['destroy']],
  [['regenerate']],
  [['regenerate'], ['set', 'user', 'ada'], ['save'], ['set', 'seen', true]],
]

describe.skipIf(servers === null)('a logout amid slow requests', () => {
  const prefix = `logout-${randomUUID()}:`
  const options: MemcachedStoreOptions = { servers: servers as string, prefix, touchAfter: 0 }
  let store: MemcachedStore
  let others: App[]
  beforeAll(async () => {
    store = new MemcachedStore(options)
    others = await Promise.all([0, 1].map(() => ChildApp.start({ store: options, resave: true })))
  })
  afterAll(() => Promise.all([store.close(), ...others.map(app => app[Symbol.asyncDispose]())]))

  /** Gives the ids that should be dead and are alive. A save that comes too late gives up quietly: no request fails. */
  async function undone(apps: readonly App[], tries: number, failures = 0): Promise<string[]> {
    const alive: string[] = []
    for (let turn = 0; turn < tries; turn++) {
      const visitor = new Visitor()
      const { sid } = await visitor.ask(apps[0] as App, ['set', 'user', 'eve'])
      const slow = visitor.tab().start(apps, slowScripts)
      await loaded(apps, slowScripts.length)
      const ending = visitor.ask(apps[turn % apps.length] as App, ...(ends[turn % ends.length] as Step[]))
      // By turns: the slow ones go on after the logout, or together with it.
      if (turn % 2 === 0) await ending
      for (const app of apps) app.open()
      const results = await Promise.allSettled(slow)
      expect(results.filter(({ status }) => status === 'rejected').length).toBeLessThanOrEqual(failures)
      const ended = await ending
      if ((await store.get(sid)) !== null) alive.push(sid)
      await expectGoesOn(ended, sid)
    }
    return alive
  }

  /** The new session of a login is there, and not the old one's. */
  async function expectGoesOn(ended: Answer, old: string): Promise<void> {
    expect(ended.session === null || ended.sid !== old).toBe(true)
    if (ended.session?.user === undefined) return
    expect(await store.get(ended.sid)).toMatchObject({ user: 'ada', seen: true })
  }

  test.each([
    ['cookies with a date', 60_000],
    ['cookies without a date', undefined],
  ])(`is never undone, in ${TRIES} tries with %s`, async (_, maxAge) => {
    const age = maxAge === undefined ? {} : { maxAge }
    await using app = await ScriptedApp.start({ store: options, ...age })
    expect(await undone([app], TRIES)).toEqual([])
  })

  test(`is never undone, in ${TRIES} tries with two processes and \`resave: true\``, async () => {
    expect(await undone(others, TRIES)).toEqual([])
  })

  test.each(['overwrite', 'reject', 'function'] as const)(
    'is never undone with onConflict %s',
    async mode => {
      const onConflict = mode === 'function' ? (_base: unknown, mine: SessionData) => mine : mode
      await using app = await ScriptedApp.start({ store: { ...options, onConflict } })
      // Saves that meet each other before the logout are rejected, as this mode wants it.
      expect(await undone([app], fewOrMany(6, 40), mode === 'reject' ? slowScripts.length : 0)).toEqual([])
    },
  )

  test('shows in a tombstone that is not empty, which not every engine takes; an empty one of before counts, too', async () => {
    const [alone] = (servers as string).split(',') as [string]
    const raw = new RawMemcached(alone)
    await using one = new MemcachedStore({ ...options, servers: alone })
    const sid = randomUUID()
    const cookie = { originalMaxAge: 60_000, expires: new Date(Date.now() + 60_000) }
    await one.set(sid, { cookie, user: 'eve' } as unknown as SessionData)
    const loaded = (await one.get(sid)) as SessionData & { edited?: boolean }
    await one.destroy(sid)
    expect((await raw.get(prefix + sid))?.value).toHaveLength(1)
    await raw.set(prefix + sid, '', TOMBSTONE)
    loaded.edited = true
    await one.set(sid, loaded)
    expect(await one.get(sid)).toBeNull()
    expect(await raw.get(prefix + sid)).toEqual({ value: '', flags: TOMBSTONE })
  })

  describe.concurrent.each(['merge', 'overwrite', 'reject', 'function'] as const)(
    'with onConflict %s',
    mode => {
      const onConflict = mode === 'function' ? (_base: unknown, mine: SessionData) => mine : mode
      let here: MemcachedStore
      let elsewhere: MemcachedStore
      beforeAll(() => {
        here = new MemcachedStore({ ...options, onConflict, tombstone: 1 })
        elsewhere = new MemcachedStore({ ...options, onConflict, tombstone: 1 })
      })
      afterAll(() => Promise.all([here.close(), elsewhere.close()]))

      test.each([
        ['with a date', { originalMaxAge: 60_000, expires: new Date(Date.now() + 60_000) }],
        ['without a date', { originalMaxAge: null }],
      ])('is final, also after the time of `tombstone`; the cookie is %s', async (_, cookie) => {
        const sid = randomUUID()
        await here.set(sid, { cookie, user: 'eve' } as unknown as SessionData)
        const loaded = (await elsewhere.get(sid)) as SessionData & { edits: number }
        await here.destroy(sid)
        loaded.edits = 0
        const revived = async (): Promise<boolean> => {
          loaded.edits++
          await elsewhere.set(sid, loaded)
          return (await elsewhere.get(sid)) !== null
        }
        await elsewhere.touch(sid, loaded)
        expect(await revived()).toBe(false)
        expect(await here.get(sid)).toBeNull()
        const raws = (servers as string).split(',').map(address => new RawMemcached(address))
        const stored = (): Promise<unknown[]> => Promise.all(raws.map(raw => raw.get(`${prefix}${sid}`)))
        await until(async () => (await stored()).every(item => item === null))
        expect(await revived()).toBe(false)
        expect(await here.get(sid)).toBeNull()
      })
    },
  )
})
