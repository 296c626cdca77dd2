import { randomUUID } from 'node:crypto'
import { MemoryStore, type SessionData } from 'express-session'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import type { Item } from '../../lib/memcached/node.ts'
import { createNodes } from '../../lib/memcached/nodes.ts'
import type { Reply } from '../../lib/memcached/reply.ts'
import { readOptions } from '../../lib/options.ts'
import { Keys } from '../../lib/storage/keys.ts'
import { replied } from '../../lib/storage/replied.ts'
import { TOMBSTONE } from '../../lib/storage/stored-form.ts'
import { generate, load } from '../overlap/live.ts'
import { makeSession } from '../overlap/two-stores.ts'
import { OPCODE } from '../support/frames.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { EVERYTHING, KEY, OTHER_KEY } from './everything.ts'

const memcached = inject('memcached')?.split(',')[0] as string

/** What lies in memcached, byte for byte. */
class Raw {
  readonly #node = createNodes(readOptions({ servers: memcached }), () => {})[0] as ReturnType<
    typeof createNodes
  >[0]

  /** Every item under a prefix, by key. */
  async all(prefix: string): Promise<Map<string, Reply>> {
    const found = new Map<string, Reply>()
    const keys: string[] = []
    const { signal } = new AbortController()
    await this.#node?.walk({ prefix, signal, take: ({ key }) => keys.push(key) })
    for (const key of keys) found.set(key, await this.get(key))
    return found
  }

  get(key: string): Promise<Reply> {
    return replied(done => this.#node?.get(key, done))
  }

  set(key: string, value: string | Buffer, flags: number): Promise<Reply> {
    const item: Item = { key, value, flags, expiration: 60 }
    return replied(done => this.#node?.write('set', item, null, done))
  }

  async delete(key: string): Promise<void> {
    await replied(done => this.#node?.delete(key, null, done))
  }

  async close(): Promise<void> {
    await this.#node?.close()
  }
}

const closing: { close(): Promise<void> }[] = []
afterEach(() => Promise.all(closing.splice(0).map(one => one.close())))

function raw(): Raw {
  const opened = new Raw()
  closing.push(opened)
  return opened
}

function storeWith(options: MemcachedStoreOptions = {}): MemcachedStore & { corrupt: string[] } {
  const store = new MemcachedStore({ servers: memcached, ...EVERYTHING, ...options })
  const corrupt: string[] = []
  store.on('corrupt', sid => corrupt.push(sid))
  closing.push(store)
  return Object.assign(store, { corrupt })
}

const prefixOf = (): string => `sealed-${randomUUID()}:`
const userOf = (session: SessionData): string | undefined => (session as { user?: string }).user

describe.skipIf(memcached === undefined)('what lies in memcached', () => {
  test('has no id, no user and no word of a session, with everything on', async () => {
    const prefix = prefixOf()
    const store = storeWith({ prefix, userOf })
    const sids = Array.from({ length: 20 }, () => randomUUID())
    const words = ['margarethe', 'a word of the session', 'cookie', 'originalMaxAge', ...sids]
    for (const sid of sids) {
      await store.set(
        sid,
        makeSession({ user: 'margarethe', text: `a word of the session ${'x'.repeat(5000)}` }),
      )
    }
    await store.destroyAllOf('margarethe', { except: sids[0] })
    await store.destroy(sids[1] as string)
    await store.withLock(sids[2] as string, async () => {
      const stored = await raw().all(prefix)
      // One session, nineteen tombstones, an index and a lock.
      expect(stored.size).toBe(22)
      const all = [...stored].flatMap(([key, reply]) => [Buffer.from(key), reply.bytes])
      for (const word of words) {
        for (const hidden of [
          word,
          Buffer.from(word).toString('base64url').slice(0, -1),
          Buffer.from(word).toString('hex'),
        ]) {
          expect(all.filter(bytes => bytes.includes(hidden)).length).toBe(0)
        }
      }
    })
    expect(await store.ids()).toEqual([sids[0]])
    expect((await store.sessionsOf('margarethe')).map(({ sid }) => sid)).toEqual([sids[0]])
  })

  test('does not say when somebody was signed out', async () => {
    const prefix = prefixOf()
    const store = storeWith({ prefix, userOf, compress: false, hashKeys: false })
    await store.set('a', makeSession({ user: 'ann' }))
    const before = `${Date.now()}`.slice(0, 8)
    await store.destroyAllOf('ann')
    const { bytes, flags } = await raw().get(`${prefix}a`)
    expect(flags & TOMBSTONE).toBe(TOMBSTONE)
    expect(bytes.includes(before)).toBe(false)
  })
})

describe.skipIf(memcached === undefined)('a value that does not open', () => {
  test.each([
    ['of another session', async (at: Raw, prefix: string) => at.get(`${prefix}b`)],
    ['of another key', async (at: Raw, prefix: string) => at.get(`${prefix}foreign`)],
    ['that is an index', async (at: Raw, prefix: string) => at.get(new Keys(prefix).ofUser('ann'))],
  ])('%s is no session, and told of as corrupt', async (_, source) => {
    const prefix = prefixOf()
    const options = { prefix, userOf, hashKeys: false }
    const store = storeWith(options)
    await store.set('a', makeSession({ user: 'ann' }))
    await store.set('b', makeSession({ user: 'ann', isAdmin: true }))
    await storeWith({ ...options, encryptionKeys: OTHER_KEY }).set('foreign', makeSession({}))
    const at = raw()
    const planted = await source(at, prefix)
    expect(planted.bytes.length).toBeGreaterThan(32)
    await at.set(`${prefix}a`, planted.bytes, planted.flags)
    expect(await store.get('a')).toBeNull()
    expect(await store.update('a', () => expect.unreachable())).toBeNull()
    expect([...(await store.getMany(['a', 'b'])).keys()]).toEqual(['b'])
    expect(store.corrupt).toEqual(['a', 'a', 'a'])
    // A new session may take its place.
    await store.set('a', makeSession({ user: 'ann', fresh: true }))
    expect(await store.get('a')).toMatchObject({ fresh: true })
  })

  test('as an index lists nothing, and is written over at the next login', async () => {
    const prefix = prefixOf()
    const store = storeWith({ prefix, userOf, hashKeys: false })
    const at = raw()
    await at.set(new Keys(prefix).ofUser('ann'), 'nonsense', 0)
    expect(await store.sessionsOf('ann')).toEqual([])
    await store.set('a', makeSession({ user: 'ann' }))
    expect((await store.sessionsOf('ann')).map(({ sid }) => sid)).toEqual(['a'])
  })

  test('cut at any length is none, through the store too', async () => {
    const prefix = prefixOf()
    const store = storeWith({ prefix, hashKeys: false })
    await store.set('a', makeSession({ text: 'x' }))
    const at = raw()
    const { bytes, flags } = await at.get(`${prefix}a`)
    for (let length = 0; length < bytes.length; length++) {
      await at.set(`${prefix}a`, bytes.subarray(0, length), flags)
      expect(await store.get('a')).toBeNull()
    }
    await at.set(`${prefix}a`, bytes, flags)
    expect(await store.get('a')).toMatchObject({ text: 'x' })
  })
})

describe.skipIf(memcached === undefined)('on the wire', () => {
  test('a session that is saved unmodified, or read and touched, costs what it did', async () => {
    await using proxy = await TcpProxy.start(memcached)
    const store = storeWith({ servers: proxy.address, prefix: prefixOf() })
    const fresh = generate(store, 3_600_000)
    await store.set(fresh.id, fresh)
    proxy.requests.clear()
    for (let i = 0; i < 3; i++) {
      const session = await load(store, fresh.id)
      await store.set(fresh.id, session)
      await store.touch(fresh.id, session)
    }
    expect([proxy.count(OPCODE.get), proxy.count(OPCODE.replace), proxy.count(OPCODE.set)]).toEqual([3, 0, 0])
  })

  test('a touch that is due sends the text that was read, and asks for nothing', async () => {
    await using proxy = await TcpProxy.start(memcached)
    const store = storeWith({ servers: proxy.address, prefix: prefixOf(), touchAfter: 0 })
    await store.set('a', makeSession({ text: 'x' }, 3_600_000))
    const session = await load(store, 'a')
    proxy.requests.clear()
    session.cookie.maxAge = 7_200_000
    await store.touch('a', session)
    expect([proxy.count(OPCODE.get), proxy.count(OPCODE.replace)]).toEqual([0, 1])
    expect(await store.get('a')).toMatchObject({ text: 'x' })
  })
})

describe.skipIf(memcached === undefined)('a large session', () => {
  test('comes back, compressed on another thread', async () => {
    const store = storeWith({ prefix: prefixOf(), compress: true })
    const text = Array.from({ length: 20_000 }, (_, index) => `${index} ${Math.random()}`).join()
    await store.set('a', makeSession({ text }))
    expect(await store.get('a')).toMatchObject({ text })
    expect(await store.ids()).toEqual(['a'])
  })

  test('fits where it does compressed, and is refused where it does not', async () => {
    const store = storeWith({ prefix: prefixOf() })
    await store.set('a', makeSession({ text: 'x'.repeat(4 * 1_048_576) }))
    expect(await store.get('a')).toMatchObject({ cookie: {} })
    const random = Array.from({ length: 60_000 }, () => randomUUID()).join()
    await expect(store.set('a', makeSession({ random }))).rejects.toMatchObject({ code: 'ERR_TOO_LARGE' })
    await expect(store.set('a', makeSession({ text: 'x'.repeat(9 * 1_048_576) }))).rejects.toMatchObject({
      code: 'ERR_TOO_LARGE',
    })
    expect(await store.get('a')).not.toBeNull()
  })
})

describe.skipIf(memcached === undefined)('sessions from before', () => {
  const PLAIN = { encryptionKeys: undefined, compress: false, hashKeys: false, userOf }

  test('are none where nothing is said', async () => {
    const prefix = prefixOf()
    await storeWith({ ...PLAIN, prefix }).set('a', makeSession({ text: 'x' }))
    expect(await storeWith({ prefix }).get('a')).toBeNull()
    const same = storeWith({ prefix, hashKeys: false })
    expect(await same.get('a')).toBeNull()
    expect(same.corrupt).toEqual(['a'])
  })

  test.each([
    ['sealed', { hashKeys: false }],
    ['sealed and moved', {}],
    ['moved', { encryptionKeys: undefined }],
  ])('are read with `allowPlain`, and %s at the next save', async (_, options) => {
    const prefix = prefixOf()
    await storeWith({ ...PLAIN, prefix }).set('a', makeSession({ user: 'ann', text: 'x' }))
    const moving = storeWith({ ...options, prefix, userOf, allowPlain: true })
    expect(await moving.ids()).toEqual(['a'])
    expect((await moving.sessionsOf('ann')).map(({ sid }) => sid)).toEqual(['a'])
    const session = await load(moving, 'a')
    session.text = 'y'
    await moving.set('a', session)
    session.text = 'z'
    await moving.set('a', session)
    expect(await moving.get('a')).toMatchObject({ text: 'z' })
    expect(await moving.ids()).toEqual(['a'])
    expect((await storeWith({ ...options, prefix, userOf }).get('a')) as unknown).toMatchObject({ text: 'z' })
    expect(moving.corrupt).toEqual([])
  })

  test.each(['before it is moved', 'once it is moved'])(
    'a logout holds %s, for all who read it before',
    async when => {
      const prefix = prefixOf()
      await storeWith({ ...PLAIN, prefix }).set('a', makeSession({ text: 'x' }))
      const one = storeWith({ prefix, allowPlain: true })
      const other = storeWith({ prefix, allowPlain: true })
      const late = await load(other, 'a')
      if (when === 'once it is moved') {
        await one.update('a', stored => {
          Object.assign(stored, { text: 'y' })
        })
      }
      await one.destroy('a')
      late.text = 'late'
      await other.set('a', late)
      expect([await one.get('a'), await other.get('a')]).toEqual([null, null])
      expect(await one.ids()).toEqual([])
    },
  )

  test('are not brought back by a session that takes their place', async () => {
    const prefix = prefixOf()
    await storeWith({ ...PLAIN, prefix }).set('a', makeSession({ text: 'old' }))
    await storeWith({ prefix, allowPlain: true }).set('a', makeSession({ text: 'new' }))
    const all = await raw().all(prefix)
    expect(all.size).toBe(1)
    expect(all.has(`${prefix}a`)).toBe(false)
  })
})

describe.skipIf(memcached === undefined)('a key that is changed', () => {
  test.each(['', 'memcached+text://'])(
    'logs nobody out, in whatever order processes have the two: %s',
    async scheme => {
      const prefix = prefixOf()
      const servers = `${scheme}${memcached}`
      const before = storeWith({ servers, prefix, userOf })
      await before.set('a', makeSession({ user: 'ann', count: 0 }))
      const orders = [
        [KEY, OTHER_KEY],
        [OTHER_KEY, KEY],
      ].map(encryptionKeys => storeWith({ servers, prefix, userOf, encryptionKeys }))
      for (let round = 0; round < 3; round++) {
        for (const store of orders) {
          await store.update('a', stored => {
            const counter = stored as SessionData & { count: number }
            counter.count++
          })
          for (const reader of orders) {
            expect(await reader.get('a')).toMatchObject({ count: expect.any(Number) })
            expect((await reader.sessionsOf('ann')).map(({ sid }) => sid)).toEqual(['a'])
          }
        }
      }
      const after = storeWith({ servers, prefix, userOf, encryptionKeys: OTHER_KEY })
      expect(await after.get('a')).toMatchObject({ count: 6 })
      expect(after.corrupt).toEqual([])
    },
  )

  test('keeps a session that is moved between the read and the write of another process', async () => {
    const prefix = prefixOf()
    await storeWith({ prefix }).set('a', makeSession({ count: 0 }))
    const moving = storeWith({ prefix, encryptionKeys: [OTHER_KEY, KEY] })
    const staying = storeWith({ prefix, encryptionKeys: [KEY, OTHER_KEY] })
    const count = (stored: SessionData): void => {
      const counter = stored as SessionData & { count: number }
      counter.count++
    }
    let isMoved = false
    const written = await staying.update('a', async stored => {
      if (!isMoved) await moving.update('a', count)
      isMoved = true
      count(stored)
    })
    expect(written).toMatchObject({ count: 2 })
    expect(await moving.get('a')).toMatchObject({ count: 2 })
  })

  test('moves sessions from one server to another', async () => {
    await using one = await EmbeddedMemcached.start()
    await using other = await EmbeddedMemcached.start()
    const servers = [one.address, other.address]
    const sids = Array.from({ length: 40 }, () => randomUUID())
    const before = storeWith({ servers, userOf })
    for (const sid of sids) await before.set(sid, makeSession({ user: 'ann' }))
    const changed = storeWith({ servers, userOf, encryptionKeys: [OTHER_KEY, KEY] })
    for (const sid of sids) {
      await changed.update(sid, stored => {
        Object.assign(stored, { seen: true })
      })
    }
    expect((await changed.ids()).sort()).toEqual(sids.sort())
    const after = storeWith({ servers: servers.reverse(), userOf, encryptionKeys: OTHER_KEY })
    expect((await after.getMany(sids)).size).toBe(40)
    // The index is looked after beside the requests.
    await until(async () => (await after.sessionsOf('ann')).length === 40)
    await after.destroyAllOf('ann')
    expect(await after.length()).toBe(0)
  })

  test('takes the index of a user along, which is written more seldom than sessions', async () => {
    const prefix = prefixOf()
    const options = { prefix, userOf, hashKeys: false }
    await storeWith(options).set('a', makeSession({ user: 'ann' }))
    const changed = storeWith({ ...options, encryptionKeys: [OTHER_KEY, KEY] })
    await changed.set('a', await load(changed, 'a'))
    const after = storeWith({ ...options, encryptionKeys: OTHER_KEY })
    await changed.update('a', () => {})
    await until(async () => (await after.sessionsOf('ann')).length === 1)
  })

  test('is counted towards what one may seal', async () => {
    const store = storeWith({ prefix: prefixOf() })
    await store.set('a', makeSession({}))
    await store.destroy('a')
    expect((await store.stats()).sealed).toBe(2)
    const plain = storeWith({ prefix: prefixOf(), encryptionKeys: undefined })
    await plain.set('a', makeSession({}))
    expect((await plain.stats()).sealed).toBe(0)
  })
})

describe.skipIf(memcached === undefined)('a backing store', () => {
  test('gets sessions as they are, and gives them back sealed', async () => {
    const prefix = prefixOf()
    const backing = new MemoryStore()
    const store = storeWith({ prefix, userOf, backing })
    await store.set('a', makeSession({ user: 'ann', text: 'a word of the session' }))
    const behind = await new Promise(resolve => backing.get('a', (_, session) => resolve(session)))
    expect(behind).toMatchObject({ user: 'ann', text: 'a word of the session' })
    const at = raw()
    const keys = [...(await at.all(prefix)).keys()]
    expect(keys).toHaveLength(2)
    for (const key of keys) await at.delete(key)
    expect(await store.get('a')).toMatchObject({ text: 'a word of the session' })
    expect((await store.sessionsOf('ann')).map(({ sid }) => sid)).toEqual(['a'])
    for (const [key, { bytes }] of await at.all(prefix)) {
      expect(keys).toContain(key)
      for (const word of ['ann', 'a word', 'cookie']) expect(bytes.includes(word)).toBe(false)
    }
  })
})
