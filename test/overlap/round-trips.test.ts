import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { OPCODE } from '../support/frames.ts'
import { LOOK } from '../support/protocol.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { ScriptedApp } from './scripted-app.ts'
import { TwoStores } from './two-stores.ts'
import { Visitor } from './visitor.ts'

const memcached = inject('memcached')?.split(',')[0]

describe.skipIf(memcached === undefined)('requests to memcached', () => {
  let proxy: TcpProxy
  let stores: TwoStores
  beforeAll(async () => {
    proxy = await TcpProxy.start(memcached as string)
    stores = new TwoStores({ servers: proxy.address }, { servers: memcached })
  })
  afterAll(async () => {
    await stores[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
  })
  beforeEach(() => proxy.requests.clear())

  /** What came by since the last time, by name. */
  function seen(): Record<string, number> {
    const names = Object.entries(OPCODE).map(([name, opcode]) => [name, proxy.count(opcode)] as const)
    proxy.requests.clear()
    return Object.fromEntries(names.filter(([, count]) => count > 0))
  }

  test('are one for reading, one for saving, none for a touch that is not due', async () => {
    const sid = await stores.create({ a: 1 })
    const mine = await stores.read(sid)
    expect(seen()).toEqual({ get: 1 })
    mine.a = 2
    await stores.here.set(sid, mine)
    expect(seen()).toEqual({ replace: 1 })
    mine.a = 3
    await stores.here.set(sid, mine)
    expect(seen()).toEqual({ replace: 1, ...LOOK })
    await stores.here.touch(sid, mine)
    await stores.here.set(sid, mine)
    expect(seen()).toEqual({})
    await stores.here.destroy(sid)
    expect(seen()).toEqual({ set: 1 })
  })

  test('are three where another request wrote in between, two after an eviction', async () => {
    const sid = await stores.create({ a: 1 })
    const mine = await stores.read(sid)
    await stores.edit(sid, theirs => {
      theirs.b = 1
    })
    seen()
    mine.a = 2
    await stores.here.set(sid, mine)
    expect(seen()).toEqual({ replace: 2, get: 1 })
    await stores.evict(sid)
    const evicted = await stores.create({ a: 1 })
    const again = await stores.read(evicted)
    await stores.evict(evicted)
    seen()
    again.a = 2
    await stores.here.set(evicted, again)
    expect(seen()).toEqual({ replace: 1, add: 1 })
  })

  test('are two for an update', async () => {
    const sid = await stores.create({ a: 1 })
    seen()
    await stores.here.update(sid, session => {
      Object.assign(session, { a: 2 })
    })
    expect(seen()).toEqual({ get: 1, replace: 1 })
  })

  test.each([false, true])(
    'are one for a request that only reads, two for one that edits; resave: %s',
    async resave => {
      await using app = await ScriptedApp.start({ store: { servers: proxy.address }, resave, maxAge: 60_000 })
      const visitor = new Visitor()
      await visitor.ask(app, ['set', 'a', 1])
      expect(seen()).toEqual({ set: 1, ...LOOK })
      await visitor.ask(app)
      expect(seen()).toEqual({ get: 1 })
      await visitor.ask(app, ['set', 'a', 2])
      expect(seen()).toEqual({ get: 1, replace: 1 })
    },
  )

  test('of getMany go out together, before any reply', async () => {
    const sids = await Promise.all(Array.from({ length: 200 }, (_, index) => stores.create({ index })))
    await stores.read(sids[0] as string)
    seen()
    proxy.hold()
    const many = stores.here.getMany(sids)
    await until(() => proxy.count(OPCODE.get) === sids.length)
    await proxy.pass()
    const found = await many
    expect([...found.keys()].sort()).toEqual([...sids].sort())
    expect(sids.map(sid => (found.get(sid) as unknown as { index: number }).index)).toEqual([...sids.keys()])
    expect(seen()).toEqual({ get: sids.length })
  })
})
