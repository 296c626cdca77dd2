import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { MemcachedStore, type OperationTrace } from '../../lib/index.ts'
import { sessionOf } from '../contract/calls.ts'
import { load, save } from '../overlap/live.ts'
import { TwoStores } from '../overlap/two-stores.ts'
import { Lab } from '../support/lab.ts'

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
