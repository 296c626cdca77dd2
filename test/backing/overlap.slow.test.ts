import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import type { Step } from '../overlap/scripted-app.ts'
import { ChildApp, loaded, Visitor } from '../overlap/visitor.ts'
import { type ConnectedStore, connectBacking } from '../support/backing-stores.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { DATABASES, isPresent, useDatabase } from './databases.ts'

const ROUNDS = fewOrMany(4, 100)
const AT_ONCE = 50
const LOGOUTS = fewOrMany(10, 200)

/** Requests that each set a key of their own, once all have loaded the session. */
const edits: Step[][] = Array.from({ length: AT_ONCE }, (_, number) => [['set', `key-${number}`, true]])

describe.skipIf(!hasMemcached).each(DATABASES.filter(isPresent))(
  'two processes with %s behind memcached',
  name => {
    const place = useDatabase(name)
    let memcached: Memcached
    let apps: ChildApp[]
    let backing: ConnectedStore
    let store: MemcachedStore
    beforeAll(async () => {
      memcached = await Memcached.start()
      const options: MemcachedStoreOptions = { servers: memcached.address, prefix: `${randomUUID()}:` }
      const app = { store: options, backing: place(), maxAge: 600_000 }
      apps = await Promise.all([ChildApp.start(app), ChildApp.start(app)])
      backing = await connectBacking(place())
      store = new MemcachedStore({ ...options, backing: backing.store })
    })
    afterAll(async () => {
      await Promise.all(apps.map(app => app[Symbol.asyncDispose]()))
      await store.close()
      await backing[Symbol.asyncDispose]()
      await memcached.kill()
    })

    test(`keep ${ROUNDS * AT_ONCE} of ${ROUNDS * AT_ONCE} overlapping edits, also when memcached loses them all`, async () => {
      const visitors: string[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const visitor = new Visitor()
        const { sid } = await visitor.ask(apps[0] as ChildApp, ['set', 'user', 'ada'])
        await visitor.tab().overlap(apps, edits)
        visitors.push(sid)
      }
      expect(await kept(visitors), 'in memcached').toBe(ROUNDS * AT_ONCE)
      await memcached.restart()
      expect(await kept(visitors), 'after a restart of memcached').toBe(ROUNDS * AT_ONCE)
    })

    async function kept(sids: readonly string[]): Promise<number> {
      const found = await store.getMany(sids)
      return [...found.values()].reduce(
        (sum, session) => sum + Object.keys(session).filter(key => key.startsWith('key-')).length,
        0,
      )
    }

    test(`undo none of ${LOGOUTS} logouts amid slow requests, also when memcached loses the tombstones`, async () => {
      const ended: string[] = []
      for (let turn = 0; turn < LOGOUTS; turn++) {
        const visitor = new Visitor()
        const { sid } = await visitor.ask(apps[0] as ChildApp, ['set', 'user', 'eve'])
        const slow = visitor.tab().start(apps, edits.slice(0, 10))
        await loaded(apps, 10)
        const logout = visitor.ask(apps[turn % 2] as ChildApp, ['destroy'])
        if (turn % 2 === 0) await logout
        for (const app of apps) app.open()
        await Promise.all([...slow, logout])
        ended.push(sid)
      }
      expect([...(await store.getMany(ended)).keys()]).toEqual([])
      await memcached.restart()
      expect([...(await store.getMany(ended)).keys()], 'after a restart of memcached').toEqual([])
    })
  },
)
