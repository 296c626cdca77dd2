import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { describe, expect, inject, test } from 'vitest'
import type { MemcachedStore, MemcachedStoreOptions } from '../../lib/index.ts'
import { OPCODE } from '../support/frames.ts'
import { TcpProxy } from '../support/proxy.ts'
import { generate, load, save } from './live.ts'
import { ScriptedApp } from './scripted-app.ts'
import { type AnySession, makeSession, TwoStores } from './two-stores.ts'
import { loaded, Visitor } from './visitor.ts'

const servers = inject('memcached')

describe.skipIf(servers === null)('a request', () => {
  const start = (more: MemcachedStoreOptions = {}): TwoStores =>
    new TwoStores({ servers: servers as string, touchAfter: 0, ...more })

  describe('that saves more than once', () => {
    test('does not undo what its first save merged in', async () => {
      await using stores = start()
      const sid = await stores.create({ mine: 0, theirs: 0, gone: 0, cart: { theirs: 0 } })
      const live = await load(stores.here, sid)
      await stores.edit(sid, theirs => {
        Object.assign(theirs, { theirs: 1, added: 1, cart: { theirs: 1 } })
        delete theirs.gone
      })
      live.mine = 1
      await save(live)
      expect(await stores.stored(sid)).toEqual({ mine: 1, theirs: 1, added: 1, cart: { theirs: 1 } })
      // It never heard of these, and has the deleted one still.
      expect(live).toMatchObject({ theirs: 0, gone: 0 })
      live.mine = 2
      ;(live.cart as { mine?: number }).mine = 2
      await save(live)
      expect(await stores.stored(sid)).toEqual({ mine: 2, theirs: 1, added: 1, cart: { theirs: 1, mine: 2 } })
      await save(live)
      await stores.here.touch(sid, live)
      expect(await stores.stored(sid)).toEqual({ mine: 2, theirs: 1, added: 1, cart: { theirs: 1, mine: 2 } })
    })

    test('does not undo what came between its saves', async () => {
      await using stores = start()
      const sid = await stores.create({})
      const live = await load(stores.here, sid)
      const expected: Record<string, number> = {}
      for (let turn = 0; turn < 5; turn++) {
        await stores.edit(sid, theirs => {
          theirs[`theirs-${turn}`] = turn
        })
        live[`mine-${turn}`] = turn
        await save(live)
        Object.assign(expected, { [`mine-${turn}`]: turn, [`theirs-${turn}`]: turn })
        expect(await stores.stored(sid)).toEqual(expected)
      }
      expect(stores.conflicts).toHaveLength(5)
    })

    test('may take back its own edit', async () => {
      await using stores = start()
      const sid = await stores.create({ a: 1 })
      const live = await load(stores.here, sid)
      live.a = 2
      await save(live)
      live.a = 1
      live.b = 1
      await save(live)
      delete live.b
      await save(live)
      expect(await stores.stored(sid)).toEqual({ a: 1 })
      expect(stores.conflicts).toEqual([])
    })

    test.each(['alone', 'after another'])('need not wait in between; %s', async how => {
      await using stores = start()
      const sid = await stores.create({ theirs: 0 })
      const live = await load(stores.here, sid)
      if (how === 'after another') {
        await stores.edit(sid, theirs => {
          theirs.theirs = 1
        })
      }
      const saves: Promise<void>[] = []
      const expected: Record<string, number> = { theirs: how === 'alone' ? 0 : 1 }
      for (let turn = 0; turn < 10; turn++) {
        live.last = turn
        live[`turn-${turn}`] = turn
        saves.push(save(live))
        Object.assign(expected, { last: turn, [`turn-${turn}`]: turn })
      }
      await Promise.all(saves)
      expect(await stores.stored(sid)).toEqual(expected)
    })

    test.each(['overwrite', 'reject'] as const)(
      'the same, leaves alone what came after the first (%s)',
      async onConflict => {
        await using proxy = await TcpProxy.start((servers as string).split(',')[0] as string)
        await using stores = new TwoStores(
          { servers: proxy.address, timeout: 5000, onConflict },
          { servers: (servers as string).split(',')[0] as string },
        )
        const sid = await stores.create({ n: 0 })
        const live = await load(stores.here, sid)
        live.n = 1
        const held = proxy.holdFrom(OPCODE.replace)
        const saves = [save(live), save(live)]
        await held
        await stores.edit(sid, theirs => {
          theirs.n = 2
        })
        await proxy.pass()
        await Promise.all(saves)
        expect(await stores.stored(sid)).toEqual({ n: 2 })
        expect(stores.conflicts).toEqual([])
      },
    )

    test('stays refused after a logout, however often it saves', async () => {
      await using stores = start()
      const sid = await stores.create({})
      const live = await load(stores.here, sid)
      await stores.elsewhere.destroy(sid)
      for (let turn = 0; turn < 3; turn++) {
        live.turn = turn
        await save(live)
        await stores.here.touch(sid, live)
        expect(await stores.stored(sid)).toBeNull()
      }
      expect(stores.conflicts).toEqual(Array(3).fill([sid, 'destroyed']))
    })
  })

  describe('with a new session that it saves early', () => {
    test('merges with a request that changed it meanwhile', async () => {
      await using stores = start()
      const live = generate(stores.here)
      live.mine = 1
      await save(live)
      await stores.edit(live.id, theirs => {
        theirs.theirs = 1
      })
      live.mine = 2
      await save(live)
      expect(await stores.stored(live.id)).toEqual({ mine: 2, theirs: 1 })
      expect(stores.conflicts).toEqual([[live.id, 'merged']])
    })

    test('does not bring it back after a logout', async () => {
      await using stores = start()
      const live = generate(stores.here)
      await save(live)
      await stores.elsewhere.destroy(live.id)
      live.mine = 2
      await save(live)
      await stores.here.touch(live.id, live)
      expect(await stores.stored(live.id)).toBeNull()
    })

    test('nor with a save that waited for the early one and the logout', async () => {
      await using stores = start()
      const live = generate(stores.here)
      live.mine = 1
      const early = save(live)
      const logout = stores.here.destroy(live.id)
      live.mine = 2
      await Promise.all([early, logout, save(live)])
      expect(await stores.stored(live.id)).toBeNull()
    })

    test('saves it again after an eviction', async () => {
      await using stores = start()
      const live = generate(stores.here)
      await save(live)
      await stores.evict(live.id)
      live.mine = 2
      await save(live)
      expect(await stores.stored(live.id)).toEqual({ mine: 2 })
    })
  })

  describe('that reloads or regenerates', () => {
    const options = () => ({ store: { servers: servers as string, prefix: `reload-${randomUUID()}:` } })

    test('has what another one saved, not its own edits, and saves without a conflict', async () => {
      await using app = await ScriptedApp.start(options())
      const conflicts: unknown[] = []
      app.store.on('conflict', (...args) => conflicts.push(args))
      const visitor = new Visitor()
      await visitor.ask(app, ['set', 'a', 1])
      const [slow] = visitor
        .tab()
        .start([app], [[['set', 'a', 'mine'], ['reload'], ['set', 'b', 2], ['save'], ['set', 'd', 4]]])
      await loaded([app], 1)
      await visitor.ask(app, ['set', 'a', 'theirs'], ['set', 'c', 3])
      app.open()
      expect((await slow)?.session).toMatchObject({ a: 'theirs', b: 2, c: 3, d: 4 })
      expect((await visitor.ask(app)).session).toMatchObject({ a: 'theirs', b: 2, c: 3, d: 4 })
      expect(conflicts).toEqual([])
    })

    test('cannot reload after a logout, and brings nothing back', async () => {
      await using app = await ScriptedApp.start(options())
      const visitor = new Visitor()
      const { sid } = await visitor.ask(app, ['set', 'a', 1])
      const slow = visitor.tab().fetch(app, ['set', 'a', 2], ['wait'], ['reload'])
      await loaded([app], 1)
      await visitor.ask(app, ['destroy'])
      app.open()
      expect(await slow).toMatchObject({ status: 500, body: expect.stringContaining('failed to load') })
      expect(await (app.store as MemcachedStore).get(sid)).toBeNull()
    })

    test('saves the new session after regenerate, and the old one is gone', async () => {
      await using app = await ScriptedApp.start(options())
      const visitor = new Visitor()
      const old = await visitor.ask(app, ['set', 'a', 1])
      const renewed = await visitor.ask(
        app,
        ['set', 'a', 2],
        ['save'],
        ['regenerate'],
        ['set', 'b', 1],
        ['save'],
        ['set', 'c', 1],
      )
      expect(renewed.sid).not.toBe(old.sid)
      const { sid, session: found } = await visitor.ask(app)
      expect(sid).toBe(renewed.sid)
      expect(found).toEqual({ cookie: expect.anything(), b: 1, c: 1 })
      expect(await (app.store as MemcachedStore).get(old.sid)).toBeNull()
    })
  })
})

describe.skipIf(servers === null)('a serializer of dates and maps', () => {
  const serializer = {
    stringify: (value: SessionData): string =>
      JSON.stringify(value, function (this: AnySession, key, given) {
        const raw = this[key]
        if (raw instanceof Date) return { $date: raw.getTime() }
        return raw instanceof Map ? { $map: [...raw] } : given
      }),
    parse: (text: string): unknown =>
      JSON.parse(text, (_, given) => {
        if (typeof given?.$date === 'number') return new Date(given.$date)
        return Array.isArray(given?.$map) ? new Map(given.$map) : given
      }),
  }
  const data = () => ({
    since: new Date(1000),
    seen: new Map([['a', 1]]),
    other: new Date(5),
    nested: { at: new Date(2) },
  })

  test('keeps edits of different keys', async () => {
    await using stores = new TwoStores({ servers: servers as string, serializer })
    const sid = await stores.create(data())
    const live = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      ;(theirs.seen as Map<string, number>).set('b', 2)
      Object.assign(theirs.nested as object, { theirs: new Date(3) })
    })
    ;(live.since as Date).setTime(2000)
    Object.assign(live.nested as object, { at: new Date(4) })
    await save(live)
    expect(await stores.stored(sid)).toStrictEqual({
      since: new Date(2000),
      seen: new Map([
        ['a', 1],
        ['b', 2],
      ]),
      other: new Date(5),
      nested: { at: new Date(4), theirs: new Date(3) },
    })
    expect((await stores.read(sid)).cookie.expires).toBeInstanceOf(Date)
  })

  test('lets the later write win where both changed one value', async () => {
    await using stores = new TwoStores({ servers: servers as string, serializer })
    const sid = await stores.create(data())
    const live = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      ;(theirs.seen as Map<string, number>).set('theirs', 2)
      theirs.more = new Map()
    })
    ;(live.seen as Map<string, number>).set('mine', 1)
    await save(live)
    const seen = new Map([
      ['a', 1],
      ['mine', 1],
    ])
    expect(await stores.stored(sid)).toStrictEqual({ ...data(), seen, more: new Map() })
  })

  test('loses nothing with `resave: true`, which cannot tell that nothing changed', async () => {
    await using stores = new TwoStores({ servers: servers as string, serializer })
    const sid = await stores.create(data())
    const live = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      theirs.since = new Date(3000)
    })
    live.touch()
    await save(live)
    expect(await stores.stored(sid)).toStrictEqual({ ...data(), since: new Date(3000) })
  })
})

describe.skipIf(servers === null)('a session that the store has not read', () => {
  test('is written whole, whatever is there', async () => {
    await using stores = new TwoStores({ servers: servers as string, onConflict: 'reject' })
    const sid = await stores.create({ a: 1 })
    const plain = makeSession({ b: 2 })
    await stores.here.set(sid, plain)
    expect(await stores.stored(sid)).toEqual({ b: 2 })
    await stores.edit(sid, theirs => {
      theirs.c = 3
    })
    // Also the second time: it was only shown to the store.
    await stores.here.set(sid, plain)
    expect(await stores.stored(sid)).toEqual({ b: 2 })
    await stores.elsewhere.destroy(sid)
    await stores.here.set(sid, plain)
    expect(await stores.stored(sid)).toEqual({ b: 2 })
    expect(stores.conflicts).toEqual([])
  })

  test('is one that it has read under another id, or a copy', async () => {
    await using stores = new TwoStores({ servers: servers as string, onConflict: 'reject' })
    const sid = await stores.create({ a: 1 })
    const other = await stores.create({ b: 1 })
    const read = await stores.read(sid)
    await stores.here.set(other, read)
    expect(await stores.stored(other)).toEqual({ a: 1 })
    await stores.edit(sid, theirs => {
      theirs.c = 3
    })
    await stores.here.set(sid, { ...read, d: 4 } as AnySession)
    expect(await stores.stored(sid)).toEqual({ a: 1, d: 4 })
  })
})
