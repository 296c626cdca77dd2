import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { connectBacking } from '../support/backing-stores.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { Redis } from '../support/redis.ts'
import { counting, PREFIX } from './changing.ts'
import { Worker } from './worker.ts'

const UNCLEAR = 'whether `update` was stored is not known'
const SIDS = Array.from({ length: 300 }, (_, number) => `session-${number}`)
const hasRedis: boolean = spawnSync('redis-server', ['--version']).status === 0

describe.skipIf(!hasMemcached || !hasRedis)(
  'three servers become four, three, two and four, under traffic of two processes, with Redis behind',
  () => {
    test('nothing fails, nobody is logged out, and who was stays so', async () => {
      const fleet = await Promise.all([1, 2, 3, 4].map(() => Memcached.start()))
      await using redis = await Redis.start()
      await using behind = await connectBacking({ redis: redis.socket })
      try {
        const all = fleet.map(({ address }) => address)
        const lists = [all.slice(0, 3), all, all.slice(0, 3), all.slice(0, 2), all]
        const store = (servers: readonly string[]): MemcachedStore =>
          new MemcachedStore({ servers, prefix: PREFIX, backing: behind.store, timeout: 5000 })
        await using before = store(lists[0] as string[])
        await Promise.all(SIDS.map(sid => before.set(sid, counting(0))))
        const workers = ['one', 'other'].map(
          name => new Worker(name, lists[0] as string[], SIDS, redis.socket),
        )
        for (const [index, list] of lists.slice(1).entries()) {
          const [early, late] = index % 2 === 0 ? workers : [...workers].reverse()
          await early?.become(list)
          await late?.become(list)
        }
        const reports = await Promise.all(workers.map(worker => worker.end()))

        const failures = reports.flatMap(report => report.failures)
        // While the two do not agree on the servers, one may find that the other has gone on from its update, or not.
        expect(failures.filter(failure => !failure.endsWith(UNCLEAR))).toEqual([])
        expect(failures.length).toBeLessThan(4)
        const events = reports.flatMap(report => report.events)
        const logouts = events.filter(({ what }) => what === 'destroyed')
        expect(logouts.length).toBeGreaterThan(0)
        const lost = events.filter(
          ({ sid, what, ended }) =>
            what === 'missing' && !logouts.some(logout => logout.sid === sid && logout.began < ended),
        )
        expect(lost).toEqual([])
        // At the end, whatever two processes with two lists did to each other for a moment.
        const gone = new Set(logouts.map(({ sid }) => sid))
        const known = [...new Set(events.map(({ sid }) => sid))]
        await using after = store(all)
        const found = await after.getMany(known)
        expect(known.filter(sid => found.has(sid) === gone.has(sid))).toEqual([])
      } finally {
        await Promise.all(fleet.map(one => one.kill()))
      }
    })
  },
)
