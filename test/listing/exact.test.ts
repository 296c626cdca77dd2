import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Ring } from '../../lib/cluster/ring.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { fill, keysOn, sidOf, stored } from './fill.ts'

const COUNT = fewOrMany(4000, 100_000)
const many = COUNT.toLocaleString('en')
const PREFIX = 'exact:'
const sids: string[] = Array.from({ length: COUNT }, (_, number) => sidOf(number))

/** Much in the place of the sessions' keys that is not theirs. */
const foreignKey = (number: number): string =>
  `${['other:', 'exact', 'EXACT:', 'exac:t:', ''][number % 5]}${sidOf(number)}`

describe.skipIf(!hasMemcached).each([1, 3])(
  `${many} sessions among ${many} foreign keys on %d server(s)`,
  servers => {
    let memcacheds: Memcached[]
    let addresses: string[]
    let store: MemcachedStore

    beforeAll(async () => {
      memcacheds = await Promise.all(Array.from({ length: servers }, () => Memcached.start('-m', '256')))
      addresses = memcacheds.map(({ address }) => address)
      const ring = new Ring(addresses)
      store = new MemcachedStore({ servers: addresses, prefix: PREFIX, timeout: 2000 })
      const value = stored(1)
      const placed = addresses.map((): string[] => [])
      for (const sid of sids) placed[ring.home(PREFIX + sid)]?.push(PREFIX + sid)
      for (let number = 0; number < COUNT; number++) placed[number % servers]?.push(foreignKey(number))
      await Promise.all(
        addresses.map((address, index) => {
          const keys = placed[index] as string[]
          return fill(address, keys.length, number => [keys[number] as string, value])
        }),
      )
    })
    afterAll(async () => {
      await store.close()
      await Promise.all(memcacheds.map(memcached => memcached.kill()))
    })

    /** Runs `task` while others read, change, log in and log out, and gives how many requests that were. */
    async function underTraffic(task: () => Promise<void>): Promise<number> {
      let isOver = false
      let requests = 0
      const visit = async (visitor: number): Promise<void> => {
        for (let number = visitor; !isOver; number = (number * 31 + 7) % COUNT) {
          const sid = sids[number] as string
          const session = await store.get(sid)
          if (session === null) throw new Error(`${sid} is lost`)
          if (number % 2 === 0) await store.set(sid, Object.assign(session, { visitor }))
          const guest = `guest-${visitor}-${requests}`
          await store.set(guest, session)
          await store.destroy(guest)
          requests++
          await pause(1)
        }
      }
      const traffic = Promise.all(Array.from({ length: 16 }, (_, visitor) => visit(visitor)))
      await pause(100)
      await task()
      isOver = true
      await traffic
      return requests
    }
    const isGuest = (sid: string): boolean => sid.startsWith('guest-')

    test('ids are exact while traffic goes on, and none comes twice', async () => {
      const requests = await underTraffic(async () => {
        for (let turn = 0; turn < 3; turn++) {
          const found = (await store.ids()).filter(sid => !isGuest(sid))
          expect(found).toHaveLength(COUNT)
          expect(new Set(found)).toEqual(new Set(sids))
        }
      })
      expect(requests).toBeGreaterThan(10)
    })

    test('length is exact while traffic goes on', async () => {
      let isOver = false
      const visits = Array.from({ length: 16 }, async (_, visitor) => {
        for (let number = visitor; !isOver; number = (number * 31 + 7) % COUNT) {
          const sid = sids[number] as string
          await store.update(sid, session =>
            Object.assign(session, { visitor, text: 'x'.repeat(number % 2000) }),
          )
          await pause(1)
        }
      })
      for (let turn = 0; turn < 3; turn++) expect(await store.length()).toBe(COUNT)
      isOver = true
      await Promise.all(visits)
    })

    test('sessions() gives each session once while traffic goes on', async () => {
      await underTraffic(async () => {
        const found = new Set<string>()
        for await (const { sid, session } of store.sessions()) {
          if (isGuest(sid)) continue
          expect(found.has(sid)).toBe(false)
          expect(session.cookie.path).toBe('/')
          found.add(sid)
        }
        expect(found.size).toBe(COUNT)
      })
    })

    test('clear leaves every foreign key, and nothing else', async () => {
      // What is under the prefix and no session: tombstones of the guests are there already.
      await fill(addresses[0] as string, 2, number => [`${PREFIX}${'@!'[number]}x`, 'text'])
      await store.clear()
      const left = new Set<string>()
      for (const address of addresses) for (const key of await keysOn(address)) left.add(key)
      expect(left).toEqual(new Set(sids.map((_, number) => foreignKey(number))))
      expect(await store.length()).toBe(0)
      expect(await store.ids()).toEqual([])
      expect(await store.all()).toEqual([])
    })
  },
)
