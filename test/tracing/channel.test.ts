import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { type ExclusiveMiddleware, MemcachedStore, type OperationTrace } from '../../lib/index.ts'
import { sessionOf } from '../contract/calls.ts'
import { type LiveSession, load, save } from '../overlap/live.ts'
import { Gate } from '../overlap/scripted-app.ts'
import { TwoStores } from '../overlap/two-stores.ts'
import { Lab } from '../support/lab.ts'
import { NOBODY } from '../support/port.ts'
import { until } from '../support/until.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const channel = tracingChannel<OperationTrace, OperationTrace>('express-session-memcached')
const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

describe.skipIf(inject('memcached') === null)('the tracing channel', () => {
  let stores: TwoStores
  let heard: [event: string, trace: OperationTrace][]
  let listener: TracingChannelSubscribers<OperationTrace>

  beforeEach(() => {
    heard = []
    listener = Object.fromEntries(
      EVENTS.map(event => [event, (trace: OperationTrace) => heard.push([event, trace])]),
    ) as unknown as TracingChannelSubscribers<OperationTrace>
    stores = new TwoStores({ servers: memcached })
  })
  afterEach(async () => {
    channel.unsubscribe(listener)
    await stores[Symbol.asyncDispose]()
  })

  /** What is told of what happens meanwhile: one of each operation, as it is at its end. */
  async function tracesOf(happens: () => Promise<unknown>): Promise<OperationTrace[]> {
    channel.subscribe(listener)
    await happens().catch(() => {})
    channel.unsubscribe(listener)
    return heard.filter(([event]) => event === 'asyncEnd').map(([, trace]) => trace)
  }

  const server = memcached

  test('tells of a read', async () => {
    const sid = await stores.create({ name: 'Ada Lovelace' })
    const bytes = Buffer.byteLength(JSON.stringify(await stores.read(sid)))
    const traces = await tracesOf(async () => {
      await stores.here.get(sid)
      await stores.here.get('nobody')
    })
    expect(traces).toEqual([
      { operation: 'get', server, outcome: 'found', bytes },
      { operation: 'get', server, outcome: 'missing' },
    ])
  })

  test('tells of a save, of one that changes nothing, of a merge, and of a logout', async () => {
    const sid = await stores.create({ name: 'Ada' })
    const live = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      theirs.theirs = 1
    })
    live.mine = 1
    const traces = await tracesOf(async () => {
      await stores.here.set(randomUUID(), sessionOf({ a: 1 }))
      await save(live)
      await stores.here.touch(sid, live)
      await stores.here.update(sid, () => {})
      await stores.here.destroy(sid)
      live.mine = 2
      await save(live)
    })
    const bytes = expect.any(Number)
    expect(traces).toEqual([
      { operation: 'set', server, outcome: 'written', attempts: 1, bytes },
      { operation: 'set', server, outcome: 'written', conflict: 'merged', attempts: 2, bytes },
      { operation: 'touch', server },
      { operation: 'update', server, outcome: 'written', attempts: 1, bytes },
      expect.objectContaining({ operation: 'destroy', server, outcome: 'destroyed', attempts: 1 }),
      expect.objectContaining({ operation: 'set', server, outcome: 'unchanged', conflict: 'destroyed' }),
    ])
  })

  test('tells who waited, and what each of them wrote', async () => {
    const sid = await stores.create({ count: 0 })
    const lives = await Promise.all([1, 2, 3].map(() => load(stores.here, sid)))
    const traces = await tracesOf(() =>
      Promise.all(
        lives.map((live, at) => {
          live[`key-${at}`] = 'x'.repeat(at)
          return save(live)
        }),
      ),
    )
    expect(traces.map(({ waited }) => waited)).toEqual([undefined, true, true])
    expect(traces.map(({ conflict }) => conflict)).toEqual([undefined, 'merged', 'merged'])
    expect(new Set(traces.map(({ bytes }) => bytes)).size).toBe(3)
  })

  test('tells of operations on many, which are one', async () => {
    const sid = await stores.create({})
    const traces = await tracesOf(async () => {
      await stores.here.getMany([sid, 'nobody'])
      await stores.here.length()
      await stores.here.ids()
      await stores.here.all()
      await stores.here.stats()
      await stores.here.clear()
    })
    const many = ['getMany', 'length', 'ids', 'all', 'stats', 'clear']
    expect(traces).toEqual(many.map(operation => ({ operation, server: undefined })))
  })

  test('comes in order, and the callback between the last two, in the async context of its caller', async () => {
    const visitor = new AsyncLocalStorage<string>()
    const order: unknown[] = []
    channel.subscribe(listener)
    await new Promise<void>(resolve => {
      visitor.run('Ada', () => {
        stores.here.get('nobody', () => {
          order.push(...heard.map(([event]) => event), visitor.getStore())
          resolve()
        })
        order.push(...heard.map(([event]) => event), '|')
      })
    })
    expect(order).toEqual(['start', 'end', '|', 'start', 'end', 'asyncStart', 'asyncEnd', 'Ada'])
    expect(new Set(heard.map(([, trace]) => trace)).size).toBe(1)
  })

  test('tells of failures: of a server, and of arguments', async () => {
    await using lab = await Lab.start()
    await lab.memcached.freeze()
    const traces = await tracesOf(async () => {
      await lab.store.get('a').catch(() => {})
      await lab.store.get(1 as never).catch(() => {})
      await stores.here.set('a', {} as never).catch(() => {})
    })
    lab.memcached.thaw()
    expect(traces.map(({ operation }) => operation)).toEqual(['get', 'get', 'set'])
    expect(traces.map(({ error }) => (error as { code?: string }).code ?? error?.name)).toEqual([
      'ERR_TIMEOUT',
      'TypeError',
      'TypeError',
    ])
    expect(traces.every(({ outcome }) => outcome === undefined)).toBe(true)
    expect(heard.filter(([event]) => event === 'error')).toHaveLength(3)
  })

  test('holds no id, no key and no content', async () => {
    const sid = await stores.create({ secret: 'swordfish' })
    const live = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      theirs.more = 'swordfish'
    })
    live.mine = 'swordfish'
    await tracesOf(() => save(live).then(() => stores.here.getMany([sid])))
    expect(heard.length).toBeGreaterThan(0)
    const told = JSON.stringify(heard)
    expect(told).not.toContain(sid)
    expect(told).not.toContain('swordfish')
  })

  test('tells of a lock, until it is free again, and of who waited for it', async () => {
    const sid = randomUUID()
    const first = new Gate()
    const traces = await tracesOf(async () => {
      const held = stores.here.withLock(sid, () => first.pass())
      await until(() => first.waiting === 1)
      const others = [stores.here, stores.elsewhere].map(store => store.withLock(sid, () => store.get(sid)))
      const busy = stores.elsewhere.withLock(sid, () => {}, { wait: 0 }).catch(() => {})
      await busy
      expect(heard.filter(([event]) => event === 'asyncEnd')).toHaveLength(1)
      // What is told of it grows: the one elsewhere, third of all, has met the lock by then.
      await until(() => heard.filter(([event]) => event === 'start')[2]?.[1].waited === true)
      first.open()
      await Promise.all([held, ...others])
    })
    const busy = expect.objectContaining({ code: 'ERR_UNAVAILABLE' })
    expect(traces[0]).toEqual({ operation: 'withLock', server, waited: true, error: busy })
    const locks = traces.slice(1).filter(({ operation }) => operation === 'withLock')
    expect(locks).toEqual([
      { operation: 'withLock', server },
      { operation: 'withLock', server, waited: true },
      { operation: 'withLock', server, waited: true },
    ])
    expect(traces.filter(({ operation }) => operation === 'get')).toHaveLength(2)
  })

  test('tells of exclusive(), until the request goes on', async () => {
    const sid = await stores.create({ name: 'Ada' })
    const run = (live: LiveSession): Promise<EventEmitter> =>
      new Promise((resolve, reject) => {
        const req = { session: live, sessionID: sid } as unknown as Parameters<ExclusiveMiddleware>[0]
        const res = new EventEmitter()
        const next = (error?: unknown): void => (error == null ? resolve(res) : reject(error as Error))
        stores.here.exclusive({ wait: 5 })(req, res as unknown as ServerResponse, next)
      })
    const [one, other] = [await load(stores.here, sid), await load(stores.here, sid)]
    const traces = await tracesOf(async () => {
      const response = await run(one)
      const waits = run(other)
      response.emit('finish')
      ;(await waits).emit('finish')
    })
    expect(traces.filter(({ operation }) => operation === 'exclusive')).toEqual([
      { operation: 'exclusive', server },
      { operation: 'exclusive', server, waited: true },
    ])
  })

  test('tells of sessions() from the first step to the last, however it ends', async () => {
    await stores.create({})
    await stores.create({})
    const down = new MemcachedStore({ servers: NOBODY })
    const traces = await tracesOf(async () => {
      const listed = stores.here.sessions()
      expect(heard).toEqual([])
      for await (const _ of listed) {
        expect(heard.map(([event]) => event)).toEqual(['start', 'end'])
        break
      }
      for await (const _ of stores.here.sessions());
      await down.sessions().next()
    })
    await down.close()
    const error = expect.objectContaining({ code: 'ERR_UNAVAILABLE' })
    const sessions = { operation: 'sessions', server: undefined }
    expect(traces).toEqual([sessions, sessions, { ...sessions, error }])
    expect(heard.filter(([event]) => event === 'error')).toHaveLength(1)
  })

  test('while nobody listens nothing is published, and no context entered', async () => {
    const sid = await stores.create({})
    const entered = vi.spyOn(AsyncLocalStorage.prototype, 'run')
    const published = vi.spyOn(Object.getPrototypeOf(channel.start), 'publish')
    const calls = async (): Promise<[number, number]> => {
      await stores.here.get(sid)
      await stores.here.length()
      await stores.here.withLock(sid, () => {})
      for await (const _ of stores.here.sessions());
      return [entered.mock.calls.length, published.mock.calls.length]
    }
    try {
      expect(await calls()).toEqual([0, 0])
      // What is counted here is what there is to be counted.
      channel.subscribe(listener)
      expect((await calls())[0]).toBeGreaterThan(0)
    } finally {
      vi.restoreAllMocks()
    }
  })

  test('a store that a subscriber asks is no step of what it heard of', async () => {
    const sid = await stores.create({})
    const other = new MemcachedStore({ servers: memcached })
    const traces = await tracesOf(
      () =>
        new Promise<void>(resolve => {
          stores.here.get(sid, () => other.get('nobody', () => resolve()))
        }),
    )
    await other.close()
    expect(traces.map(({ outcome }) => outcome)).toEqual(['found', 'missing'])
  })
})
