import express from 'express'
import session, { type SessionData } from 'express-session'
import supertest from 'supertest'
import { describe, expect, inject, test } from 'vitest'
import { MemcachedStoreError } from '../../lib/index.ts'
import type { ConflictResolver } from '../../lib/options.ts'
import { type AnySession, makeSession, TwoStores } from './two-stores.ts'

const servers = inject('memcached')

/** The error of a promise that must fail. */
async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => expect.fail('Expected a failure'),
    (error: Error) => error,
  )
}

describe.skipIf(servers === null)('onConflict', () => {
  const start = (onConflict: 'merge' | 'overwrite' | 'reject' | ConflictResolver): TwoStores =>
    new TwoStores({ servers: servers as string, onConflict, touchAfter: 0 })

  describe('merge', () => {
    test('keeps both, of the cookie too', async () => {
      await using stores = start('merge')
      const sid = await stores.create({ a: 1, nested: { x: 1, y: 1 }, gone: 1 })
      const mine = await stores.read(sid)
      await stores.edit(sid, theirs => {
        theirs.b = 2
        ;(theirs.nested as { y: number }).y = 2
        theirs.cookie.path = '/theirs'
      })
      Object.assign(mine, { a: 10, nested: { x: 10, y: 1 } })
      delete mine.gone
      const expires = new Date(Date.now() + 90_000).toISOString()
      mine.cookie.expires = expires as never
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 10, b: 2, nested: { x: 10, y: 2 } })
      expect((await stores.read(sid)).cookie).toMatchObject({ path: '/theirs', expires })
      expect(stores.conflicts).toEqual([[sid, 'merged']])
    })

    test('is not asked where another request only touched', async () => {
      await using stores = start('merge')
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await touch(stores, sid)
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2 })
      expect(stores.conflicts).toEqual([])
    })
  })

  describe('reject', () => {
    test('fails the later save, and leaves what is stored', async () => {
      await using stores = start('reject')
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await stores.edit(sid, theirs => {
        theirs.b = 2
      })
      mine.a = 2
      const error = await failure(stores.here.set(sid, mine))
      expect(error).toBeInstanceOf(MemcachedStoreError)
      expect(error).toMatchObject({ code: 'ERR_CONFLICT', status: 409 })
      expect(error.message).not.toContain(sid)
      expect(await stores.stored(sid)).toEqual({ a: 1, b: 2 })
      expect(stores.conflicts).toEqual([[sid, 'rejected']])
      // Until it has read what is there.
      const again = await stores.read(sid)
      again.a = 2
      await stores.here.set(sid, again)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 2 })
    })

    test('lets a save pass where another request only touched', async () => {
      await using stores = start('reject')
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await touch(stores, sid)
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2 })
      expect(stores.conflicts).toEqual([])
    })

    test('lets it pass with a serializer of another format, too', async () => {
      const serializer = {
        stringify: (value: SessionData) => JSON.stringify([value]),
        parse: (text: string) => JSON.parse(text)[0],
      }
      await using stores = new TwoStores({
        servers: servers as string,
        onConflict: 'reject',
        touchAfter: 0,
        serializer,
      })
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await touch(stores, sid)
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2 })
      expect(stores.conflicts).toEqual([])
    })

    test('lets it pass after a save that changed nothing else', async () => {
      await using stores = start('reject')
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      mine.a = 2
      await stores.here.set(sid, mine)
      await touch(stores, sid)
      mine.a = 3
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 3 })
    })

    test.each(['handled by the application', 'left to Express'])('answers 409, %s', async how => {
      await using stores = start('reject')
      const app = express()
      app.set('env', 'test')
      const { here: store } = stores
      app.use(session({ store, secret: 'test', resave: false, saveUninitialized: false }))
      app.get('/new', (req, res) => {
        ;(req.session as unknown as AnySession).a = 1
        res.json(req.sessionID)
      })
      app.get('/edit', async (req, res, next) => {
        await stores.edit(req.sessionID, theirs => {
          theirs.b = 2
        })
        ;(req.session as unknown as AnySession).a = 2
        req.session.save(error => {
          if (how === 'left to Express') next(error)
          else res.status(error.status).json({ code: error.code })
        })
      })
      const client = supertest.agent(app)
      const sid = (await client.get('/new').expect(200)).body
      const answer = await client.get('/edit').expect(409)
      if (how === 'left to Express') expect(answer.text).toContain('changed by another request')
      else expect(answer.body).toEqual({ code: 'ERR_CONFLICT' })
      expect(await stores.stored(sid)).toEqual({ a: 1, b: 2 })
    })
  })

  describe('overwrite', () => {
    test('lets the later save win whole', async () => {
      await using stores = start('overwrite')
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await stores.edit(sid, theirs => {
        theirs.b = 2
      })
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2 })
      expect(stores.conflicts).toEqual([[sid, 'overwritten']])
    })
  })

  describe('a function', () => {
    test('gets what was read, what is to be saved and what is stored, and decides', async () => {
      const calls: unknown[][] = []
      await using stores = start((...args) => {
        calls.push(args)
        return { ...args[2], decided: true } as SessionData
      })
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await stores.edit(sid, theirs => {
        theirs.a = 3
      })
      mine.a = 2
      await stores.here.set(sid, mine)
      const cookie = expect.objectContaining({ path: '/' })
      expect(calls).toEqual([
        [
          { cookie, a: 1 },
          { cookie, a: 2 },
          { cookie, a: 3 },
        ],
      ])
      expect(await stores.stored(sid)).toEqual({ a: 3, decided: true })
      expect(stores.conflicts).toEqual([[sid, 'resolved']])
    })

    test('gets plain copies: whatever it does to them, the request keeps its session', async () => {
      await using stores = start((base, mine, theirs) => {
        for (const one of [base, mine, theirs]) {
          expect(Object.getPrototypeOf(one)).toBe(Object.prototype)
          Object.assign(one, { a: 'spoilt', cookie: { originalMaxAge: null } })
        }
        return makeSession({ a: 'fine' })
      })
      const sid = await stores.create({ a: 1 })
      const read = await stores.read(sid)
      const mine = stores.here.createSession({ sessionID: sid } as never, read) as unknown as AnySession
      await stores.edit(sid, theirs => {
        theirs.a = 3
      })
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(mine.a).toBe(2)
      expect(mine.cookie.path).toBe('/')
      expect(await stores.stored(sid)).toEqual({ a: 'fine' })
      // The next save of this request is compared with what the request knows, not with a spoilt copy.
      mine.c = 1
      await stores.here.set(sid, mine)
      expect(mine.a).toBe(2)
    })

    test('may be async', async () => {
      await using stores = start(async (_base, mine, theirs) => {
        await new Promise(resolve => setImmediate(resolve))
        return { ...theirs, ...mine }
      })
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await stores.edit(sid, theirs => {
        theirs.b = 2
      })
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 2 })
    })

    test.each([
      ['throws', () => throwIt(new RangeError('mine'))],
      ['rejects', () => Promise.reject(new RangeError('mine'))],
      ['throws nothing', () => throwIt(undefined)],
      ['gives no session', () => undefined as never],
    ] as const)('that %s fails that save and nothing else', async (how, resolve) => {
      let fails = true
      await using stores = start((_base, mine, theirs) => (fails ? resolve() : { ...theirs, ...mine }))
      const sid = await stores.create({ a: 1 })
      const other = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await stores.edit(sid, theirs => {
        theirs.b = 2
      })
      mine.a = 2
      const outcome = stores.here.set(sid, mine).then(
        () => 'saved',
        (error: unknown) => error,
      )
      const others = await stores.read(other)
      others.a = 2
      await stores.here.set(other, others)
      expect(await stores.stored(other)).toEqual({ a: 2 })
      if (how === 'gives no session') expect(await outcome).toBeInstanceOf(TypeError)
      else if (how === 'throws nothing') expect(await outcome).not.toBe('saved')
      else expect(await outcome).toEqual(new RangeError('mine'))
      expect(await stores.stored(sid)).toEqual({ a: 1, b: 2 })
      expect(stores.conflicts).toEqual([])
      fails = false
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 2 })
    })

    test('that throws nothing is no success to a callback', async () => {
      await using stores = start(() => throwIt(null))
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await stores.edit(sid, theirs => {
        theirs.a = 3
      })
      mine.a = 2
      const error = await new Promise(resolve => stores.here.set(sid, mine, resolve))
      expect(error).toBeInstanceOf(Error)
    })

    test('is not asked about a logout', async () => {
      let asked = 0
      await using stores = start((_base, mine) => {
        asked++
        return mine
      })
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await stores.elsewhere.destroy(sid)
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(asked).toBe(0)
      expect(await stores.stored(sid)).toBeNull()
    })
  })

  test.each(['merge', 'overwrite', 'reject', (_: unknown, mine: SessionData) => mine] as const)(
    '%s lets a logout hold, quietly, and tells of it',
    async onConflict => {
      await using stores = start(onConflict)
      const sid = await stores.create({ a: 1 })
      const mine = await stores.read(sid)
      await stores.elsewhere.destroy(sid)
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toBeNull()
      expect(await stores.here.get(sid)).toBeNull()
      expect(stores.conflicts).toEqual([[sid, 'destroyed']])
    },
  )
})

/** Another request that only reads, of which a fresh date in the cookie remains. */
async function touch(stores: TwoStores, sid: string): Promise<void> {
  const theirs = (await stores.elsewhere.get(sid)) as AnySession
  const before = theirs.cookie.expires
  theirs.cookie.expires = new Date(Date.now() + 61_000)
  await stores.elsewhere.touch(sid, theirs)
  expect((await stores.read(sid)).cookie.expires).not.toEqual(before)
}

function throwIt(error: unknown): never {
  throw error
}
