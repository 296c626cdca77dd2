import { describe, expect, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { counting, movedBetween, PREFIX } from './changing.ts'
import type { Event } from './traffic.child.ts'
import { Worker } from './worker.ts'

const SIDS = Array.from({ length: 300 }, (_, number) => `session-${number}`)

describe.skipIf(!hasMemcached)(
  'three servers become four, three, two and four, under traffic of two processes',
  () => {
    test('nothing fails, and nothing old comes back', async () => {
      const fleet = await Promise.all([1, 2, 3, 4].map(() => Memcached.start()))
      try {
        const all = fleet.map(({ address }) => address)
        const lists = [all.slice(0, 3), all, all.slice(0, 3), all.slice(0, 2), all]
        await using store = new MemcachedStore({ servers: lists[0], prefix: PREFIX })
        await Promise.all(SIDS.map(sid => store.set(sid, counting(0))))
        const workers = ['one', 'other'].map(name => new Worker(name, lists[0] as string[], SIDS))
        for (const [index, list] of lists.slice(1).entries()) {
          // By turns one or the other is the first to know.
          const [early, late] = index % 2 === 0 ? workers : [...workers].reverse()
          await early?.become(list)
          await late?.become(list)
        }
        const reports = await Promise.all(workers.map(worker => worker.end()))

        expect(reports.flatMap(({ failures }) => failures)).toEqual([])
        const events = reports.flatMap(report => report.events)
        const kinds = new Set(events.map(({ what }) => what))
        expect([...kinds].sort()).toEqual(['changed', 'destroyed', 'missing', 'seen'])
        expect(backFromLogout(events)).toEqual([])
        expect(older(events)).toEqual([])
        // Those that no list moves are there all the time.
        const moved = new Set(lists.flatMap(list => movedBetween(lists[0] as string[], list, SIDS)))
        const gone = new Set(events.filter(({ what }) => what === 'destroyed').map(({ sid }) => sid))
        const lost = events.filter(
          ({ sid, what }) => what === 'missing' && SIDS.includes(sid) && !moved.has(sid) && !gone.has(sid),
        )
        expect(lost).toEqual([])
        expect(events.filter(({ sid, what }) => what === 'missing' && moved.has(sid)).length).toBeGreaterThan(
          0,
        )
      } finally {
        await Promise.all(fleet.map(one => one.kill()))
      }
    })
  },
)

/** What was seen after its logout had been answered. */
function backFromLogout(events: readonly Event[]): Event[] {
  const ended = new Map<string, number>()
  for (const { sid, what, ended: at } of events) {
    if (what === 'destroyed') ended.set(sid, Math.min(at, ended.get(sid) ?? Infinity))
  }
  return events.filter(
    ({ sid, what, began }) => (what === 'seen' || what === 'changed') && began > (ended.get(sid) ?? Infinity),
  )
}

/** What was seen in an older state than one that had been answered before. */
function older(events: readonly Event[]): Event[] {
  const bySid = new Map<string, Event[]>()
  for (const event of events) bySid.set(event.sid, [...(bySid.get(event.sid) ?? []), event])
  return [...bySid.values()].flatMap(group => {
    const changes = group.filter(({ what }) => what === 'changed')
    return group.filter(
      ({ what, began, count }) =>
        (what === 'seen' || what === 'changed') &&
        changes.some(change => change.ended < began && change.count >= count + (what === 'seen' ? 1 : 0)),
    )
  })
}
