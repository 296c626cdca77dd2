import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { sessionOf } from '../contract/calls.ts'
import { type ConnectedStore, connectBacking } from '../support/backing-stores.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { Postgres } from '../support/postgres.ts'
import { programOf } from '../support/programs.ts'
import { until } from '../support/until.ts'
import { isPresent } from './databases.ts'
import type { Edit, Message, Report, TrafficOptions } from './traffic.child.ts'

const SESSIONS = 2000
/** Changes that each process makes before the next thing happens. */
const BETWEEN = 150
/** Milliseconds for which memcached is stopped. */
const STOPPED = 5000

/** When something happened, from its beginning to its end. */
interface Moment {
  readonly start: number
  readonly end: number
}

/** Two processes that read and change the same sessions all the time. */
class Traffic {
  readonly #children: ChildProcess[]
  readonly #done: number[]
  readonly #reports: Report[] = []

  constructor(options: TrafficOptions) {
    const file = programOf(new URL('traffic.child.ts', import.meta.url))
    this.#done = [0, 0]
    this.#children = this.#done.map((_, index) => {
      const child = fork(file, [JSON.stringify(options)])
      child.on('message', (message: Message) => {
        if ('done' in message) this.#done[index] = message.done
        else this.#reports.push(message.report)
      })
      return child
    })
    onTestFinished(() => {
      for (const child of this.#children) child.kill('SIGKILL')
    })
  }

  /** Waits until each process has made so many changes more. */
  async goOn(changes = BETWEEN): Promise<void> {
    const before = [...this.#done]
    await until(() => this.#done.every((done, index) => done >= (before[index] as number) + changes), 60_000)
  }

  /** Ends the traffic, and leaves the processes to pay what they owe. */
  async end(): Promise<Report[]> {
    for (const child of this.#children) child.send({})
    await until(() => this.#reports.length === this.#children.length, 30_000)
    return this.#reports
  }
}

describe.skipIf(!hasMemcached || !isPresent('connect-pg-simple'))(
  '2,000 sessions under traffic from two processes, with PostgreSQL behind',
  () => {
    test('are all kept when memcached is killed, flushed and stopped', { timeout: 240_000 }, async () => {
      const { memcached, store, traffic, sids } = await start()
      const kills: Moment[] = []
      const stops: Moment[] = []
      const during = async (happen: () => Promise<unknown>): Promise<void> => {
        const begun = Date.now()
        await happen()
        kills.push({ start: begun, end: Date.now() })
      }
      await traffic.goOn()
      for (let kill = 0; kill < 5; kill++) {
        await during(() => memcached.restart())
        await traffic.goOn()
      }
      await during(() => flush(memcached))
      await traffic.goOn()
      for (let stop = 0; stop < 2; stop++) {
        const begun = Date.now()
        await memcached.freeze()
        await pause(STOPPED)
        memcached.thaw()
        await traffic.goOn()
        stops.push({ start: begun, end: Date.now() })
      }
      const reports = await traffic.end()

      expect(reports.flatMap(({ misses }) => misses)).toEqual([])
      const edits = reports.flatMap(report => report.edits)
      expect(edits.length).toBeGreaterThan(8 * 2 * BETWEEN)
      const isHit = (edit: Edit): boolean => kills.some(kill => overlap(kill, edit))
      // Two known limits, both of saves of one session that overlap in two processes: a kill in the middle of the
      // one may take the other along, and while memcached is away the later one wins.
      const isContested = (edit: Edit): boolean =>
        edits.some(
          other =>
            other !== edit &&
            other.sid === edit.sid &&
            overlap(other, edit) &&
            (isHit(other) || stops.some(stop => overlap(stop, edit))),
        )
      const safe = edits.filter(edit => !isHit(edit) && !isContested(edit))
      expect(safe.length).toBeGreaterThan(edits.length / 2)
      expect(await lost(store, sids, safe)).toEqual([])
      expect((await store.getMany(sids)).size).toBe(SESSIONS)
    })

    test('are all kept when PostgreSQL is restarted', { timeout: 240_000 }, async () => {
      const { memcached, postgres, store, traffic, sids } = await start()
      await traffic.goOn()
      for (const signal of ['SIGINT', 'SIGQUIT', 'SIGINT'] as const) {
        await postgres.restart(signal)
        await traffic.goOn()
      }
      const reports = await traffic.end()

      // What memcached has is served without it.
      expect(reports.flatMap(({ misses }) => misses)).toEqual([])
      const edits = reports.flatMap(report => report.edits)
      expect(await lost(store, sids, edits)).toEqual([])
      await memcached.restart()
      expect(await lost(store, sids, edits), 'after a restart of memcached').toEqual([])
      expect((await store.getMany(sids)).size).toBe(SESSIONS)
    })
  },
)

interface World {
  readonly memcached: Memcached
  readonly postgres: Postgres
  readonly store: MemcachedStore
  readonly traffic: Traffic
  readonly sids: readonly string[]
}

async function start(): Promise<World> {
  const memcached = await Memcached.start()
  onTestFinished(() => memcached.kill())
  const postgres = await Postgres.start()
  onTestFinished(() => postgres[Symbol.asyncDispose]())
  const place = { postgres: postgres.host }
  const backing: ConnectedStore = await connectBacking(place)
  const prefix = `${randomUUID()}:`
  const store = new MemcachedStore({ servers: memcached.address, prefix, backing: backing.store })
  onTestFinished(async () => {
    await store.close()
    await backing[Symbol.asyncDispose]()
  })
  const sids = Array.from({ length: SESSIONS }, () => randomUUID())
  for (let at = 0; at < sids.length; at += 100) {
    await Promise.all(sids.slice(at, at + 100).map(sid => store.set(sid, sessionOf({}, 3_600_000))))
  }
  const traffic = new Traffic({ server: memcached.address, prefix, backing: place, sids })
  return { memcached, postgres, store, traffic, sids }
}

/** What was acknowledged and is not there, once all is paid that is owed. */
async function lost(store: MemcachedStore, sids: readonly string[], edits: readonly Edit[]): Promise<Edit[]> {
  let missing: Edit[] = []
  await until(async () => {
    const found = await store.getMany(sids)
    missing = edits.filter(({ sid, key }) => !Object.hasOwn(found.get(sid) ?? {}, key))
    return missing.length === 0
  }, 15_000).catch(() => {})
  return missing
}

function overlap(one: Moment, other: Moment): boolean {
  return one.start <= other.end && one.end >= other.start
}

/** All items are gone, and nobody's connection is. */
async function flush({ port }: Memcached): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('data', resolve)
    socket.write('flush_all\r\n')
  })
  socket.destroy()
}
