import { randomUUID } from 'node:crypto'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../lib/index.ts'
import { sessionOf } from './contract/calls.ts'
import { load, save } from './overlap/live.ts'

const memcached: string | undefined = inject('memcached')?.split(',')[0]

// biome-ignore lint/suspicious/noExplicitAny: as one calls it who has no types
type Untyped = Record<string, (...args: any[]) => any>

function create(options: MemcachedStoreOptions = {}): MemcachedStore {
  const store = new MemcachedStore({ servers: memcached, prefix: `arguments-${randomUUID()}:`, ...options })
  onTestFinished(() => store.close())
  return store
}

function untyped(store: MemcachedStore): Untyped {
  return store as unknown as Untyped
}

/** Every method that takes a callback, with what comes before it. */
const METHODS: [name: string, ...args: unknown[]][] = [
  ['get', 'a'],
  ['getMany', ['a']],
  ['set', 'a', sessionOf({ a: 1 })],
  ['touch', 'a', sessionOf({ a: 1 })],
  ['destroy', 'a'],
  ['update', 'a', () => {}],
  ['sessionsOf', 'ada'],
  ['destroyAllOf', 'ada', {}],
  ['all'],
  ['ids'],
  ['length'],
  ['clear'],
  ['stats'],
]

describe.skipIf(memcached === undefined)('a callback', () => {
  test.each(METHODS)('%s: null is none, as undefined is', async (name, ...args) => {
    const store = untyped(create({ userOf: () => 'ada' }))
    await expect(store[name]?.(...args, null)).resolves.not.toThrow()
    await expect(store[name]?.(...args, undefined)).resolves.not.toThrow()
  })

  test.each(METHODS)('%s: anything else is a TypeError, at once', async (name, ...args) => {
    const store = create({ userOf: () => 'ada' })
    for (const callback of [1, 'done', {}, true]) {
      expect(() => untyped(store)[name]?.(...args, callback)).toThrow(
        new TypeError(`Expected \`callback\` to be a function, got (${typeof callback})`),
      )
    }
    expect(await store.get('nobody')).toBeNull()
  })

  test('close: null is none, anything else leaves the store open', async () => {
    const store = create()
    expect(() => untyped(store).close?.(1)).toThrow(TypeError)
    expect(await store.get('nobody')).toBeNull()
    await untyped(store).close?.(null)
    await expect(store.get('nobody')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  test('of null for `req.session.destroy` and `regenerate` harms neither this session nor others', async () => {
    const store = create()
    const sid = randomUUID()
    await store.set(sid, sessionOf({ a: 1 }, 60_000))
    const live = await load(store, sid)
    const other = store.get('nobody')
    live.destroy(null as never)
    // The middleware gives the store its `generate`, which is called at the end.
    const generated = new Promise<void>(resolve => {
      Object.assign(store, { generate: () => resolve() })
    })
    untyped(store).regenerate?.({ sessionID: sid, sessionStore: store }, null)
    await generated
    expect(await other).toBeNull()
    expect(await store.get(sid)).toBeNull()
    await save(live)
    expect(await store.get(sid)).toBeNull()
  })
})

describe.skipIf(memcached === undefined)('an argument', () => {
  test.each<[call: string, start: (store: Untyped) => unknown, words: string | RegExp]>([
    [
      'set without an id',
      s => s.set?.(undefined, sessionOf()),
      'Expected `sid` to be a string, got (undefined)',
    ],
    [
      'update without a function',
      s => s.update?.('a'),
      'Expected `change` to be a function, got (undefined)',
    ],
    ['getMany of a string', s => s.getMany?.('abc'), 'Expected `sids` to be a list of ids, got (string)'],
    ['getMany of nothing', s => s.getMany?.(), 'Expected `sids` to be a list of ids, got (undefined)'],
    ['withLock without a task', s => s.withLock?.('a'), 'Expected `task` to be a function, got (undefined)'],
    [
      'withLock with an option that is misspelt',
      s => s.withLock?.('a', () => {}, { wiat: 5 }),
      'Unknown option `wiat`. Known are wait, lease',
    ],
    [
      'destroyAllOf with an option that is misspelt',
      s => s.destroyAllOf?.('ada', { execpt: 'a' }),
      'Unknown option `execpt`. Known are except',
    ],
    [
      'destroyAllOf with an id for options',
      s => s.destroyAllOf?.('ada', 'a'),
      'Expected `options` to be an object, got (string)',
    ],
  ])('%s: a TypeError that says so', async (_, start, words) => {
    const store = untyped(create({ userOf: () => 'ada' }))
    await expect(start(store)).rejects.toThrow(new TypeError(words as string))
  })

  test('null for options is none', async () => {
    const store = untyped(create({ userOf: () => 'ada' }))
    expect(await store.withLock?.('a', () => 1, null)).toBe(1)
    expect(await store.destroyAllOf?.('ada', null)).toBeUndefined()
  })

  test('an option that is inherited is checked, too', () => {
    expect(() => new MemcachedStore(Object.create({ timeout: 'soon' }))).toThrow(
      'Expected `timeout` to be a number of milliseconds',
    )
  })
})

describe.skipIf(memcached === undefined)("a function of the application's", () => {
  test.each([1, 2])(
    'a stringify that throws at call %i of a touch: the touch ends, and all goes on',
    async call => {
      let calls = Number.NEGATIVE_INFINITY
      const serializer = {
        stringify(session: unknown): string {
          if (++calls === call) throw new Error('the key service is away')
          return JSON.stringify(session)
        },
        parse: (text: string) => JSON.parse(text),
      }
      const store = create({ serializer, touchAfter: 0 })
      const sid = randomUUID()
      await store.set(sid, sessionOf({ a: 1 }, 60_000))
      const live = await load(store, sid)
      const later = new Date(Date.now() + 120_000)
      live.cookie.expires = later
      calls = 0
      const touched = store.touch(sid, live)
      const other = store.get('nobody')
      await touched.catch(error => expect(error).toMatchObject({ message: 'the key service is away' }))
      expect(await other).toBeNull()
      calls = Number.NEGATIVE_INFINITY
      live.b = 2
      await save(live)
      expect(await store.get(sid)).toMatchObject({ a: 1, b: 2 })
      await store.destroy(sid)
    },
  )

  test('the change of an update that never ends keeps no store from closing', async () => {
    const store = create({ timeout: 200 })
    await store.set('a', sessionOf({ a: 1 }))
    const endless = store.update('a', () => new Promise<void>(() => {}))
    const closing = store.update('a', () => store.close())
    await expect(endless).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(closing).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await store.close()
  })

  test('the change of an update that takes a while is waited for at a close', async () => {
    const store = create({ timeout: 5000 })
    await store.set('a', sessionOf({ a: 1 }))
    let go = (): void => {}
    const free = new Promise<void>(resolve => {
      go = resolve
    })
    let begin = (): void => {}
    const begun = new Promise<void>(resolve => {
      begin = resolve
    })
    const updated = store.update('a', async session => {
      begin()
      await free
      Object.assign(session, { b: 2 })
    })
    await begun
    const closed = store.close()
    go()
    expect(await updated).toMatchObject({ a: 1, b: 2 })
    await closed
  })
})
