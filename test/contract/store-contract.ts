import { randomUUID } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import express5 from 'express'
import session, { type SessionData, type Store } from 'express-session'
import express4 from 'express4'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { type CreateStore, called, close, type Data, sessionOf } from './calls.ts'
import { httpContract } from './http-contract.ts'

function dataOf(stored: SessionData | null | undefined): unknown {
  if (stored == null) return stored
  const { cookie, ...data } = stored
  return data
}

const VALUES: Record<string, unknown> = {
  null: null,
  true: true,
  false: false,
  zero: 0,
  'a negative fraction': -0.1,
  'a large number': Number.MAX_VALUE,
  'an integer': Number.MAX_SAFE_INTEGER,
  'an empty string': '',
  'a text with line ends': 'a\r\nb\nEND\r\n',
  'every control character': String.fromCharCode(...Array(32).keys(), 0x7f, 0x2028, 0x2029),
  'other scripts': 'Zoë 🦜 漢字 עברית',
  'half a character': '\ud83e',
  'braces and quotes in a text': '{"cookie":{"expires":"}',
  'an empty array': [],
  'an array of all kinds': [1, 'two', null, [3], { four: 4 }, [[], {}]],
  'an empty object': {},
  'an object in an object': { a: { b: { c: [{ d: null }] } } },
  'an empty key': { '': 1 },
  'keys that objects have': { constructor: 1, toString: 2, hasOwnProperty: 3, length: 4 },
  'a long text': 'é'.repeat(100_000),
}

/** What express-session expects of a store (its README, "Session Store Implementation"), and of sessions kept in it. */
export function storeContract(name: string, createStore: CreateStore): void {
  describe(name, () => {
    let store: Store
    const get = (sid: string) => called<SessionData>(done => store.get(sid, done))
    const set = (sid: string, data: SessionData) => called(done => store.set(sid, data, done))
    const destroy = (sid: string) => called(done => store.destroy(sid, done))
    const touch = (sid: string, data: SessionData) =>
      called(done => (store.touch as NonNullable<Store['touch']>)(sid, data, done as () => void))

    beforeAll(async () => {
      store = await createStore()
    })
    afterAll(() => close(store))

    test('a missing session is no session and no error', async () => {
      expect(await get(randomUUID())).toBeFalsy()
    })

    test('get gives what set stored', async () => {
      const sid = randomUUID()
      const stored = sessionOf({ user: 'Ada', cart: [1, 2] }, 60_000)
      await set(sid, stored)
      const found = (await get(sid)) as SessionData
      expect(dataOf(found)).toEqual({ user: 'Ada', cart: [1, 2] })
      expect(found.cookie).toMatchObject({ originalMaxAge: 60_000, path: '/', httpOnly: true })
      expect(new Date(found.cookie.expires as Date)).toEqual(stored.cookie.expires)
    })

    test.each(Object.entries(VALUES))('keeps %s', async (_, value) => {
      const sid = randomUUID()
      await set(sid, sessionOf({ value }))
      expect(dataOf(await get(sid))).toEqual({ value })
    })

    test('what is got is nobody else’s: changing it changes nothing stored', async () => {
      const sid = randomUUID()
      const given = sessionOf({ cart: [1] })
      await set(sid, given)
      ;(given.cart as number[]).push(2)
      const got = (await get(sid)) as Data
      ;(got.cart as number[]).push(3)
      expect(dataOf(await get(sid))).toEqual({ cart: [1] })
    })

    test('set overwrites', async () => {
      const sid = randomUUID()
      await set(sid, sessionOf({ a: 1, b: 2 }))
      await set(sid, sessionOf({ b: 3 }))
      expect(dataOf(await get(sid))).toEqual({ b: 3 })
    })

    test('sessions do not mix', async () => {
      const sids = Array.from({ length: 100 }, () => randomUUID())
      await Promise.all(sids.map(sid => set(sid, sessionOf({ sid }))))
      await destroy(sids[0] as string)
      const found = await Promise.all(sids.map(get))
      expect(found[0]).toBeFalsy()
      expect(found.slice(1).map(dataOf)).toEqual(sids.slice(1).map(sid => ({ sid })))
    })

    test('destroy ends a session, and a missing one without an error', async () => {
      const sid = randomUUID()
      await destroy(sid)
      await set(sid, sessionOf({ a: 1 }))
      await destroy(sid)
      expect(await get(sid)).toBeFalsy()
      await destroy(sid)
    })

    test('a maxAge in milliseconds holds: neither shorter nor for ever', async () => {
      const sid = randomUUID()
      const stored = sessionOf({ a: 1 }, 150)
      const end = Number(stored.cookie.expires)
      await set(sid, stored)
      await until(async () => {
        if (await get(sid)) return false
        expect(Date.now()).toBeGreaterThanOrEqual(end)
        return true
      }, 5000)
    })

    test('touch keeps a session alive, and changes no data', async () => {
      const [touched, left] = [randomUUID(), randomUUID()]
      await Promise.all([touched, left].map(sid => set(sid, sessionOf({ a: 1 }, 150))))
      await touch(touched, sessionOf({ a: 2, b: 3 }, 60_000))
      await until(async () => !(await get(left)), 5000)
      const found = (await get(touched)) as SessionData
      expect(dataOf(found)).toEqual({ a: 1 })
      expect(Number(new Date(found.cookie.expires as Date))).toBeGreaterThan(Date.now())
    })

    test.each([
      ['with an expiry', 60_000],
      ['without an expiry', undefined],
    ])('touch of a missing session %s is no error and creates nothing', async (_, maxAge) => {
      const sid = randomUUID()
      await touch(sid, sessionOf({ a: 1 }, maxAge))
      expect(await get(sid)).toBeFalsy()
    })

    test('callbacks come once, and after the call has returned', async () => {
      const sid = randomUUID()
      const stored = sessionOf({ a: 1 }, 60_000)
      const calls: string[] = []
      const note = (what: string): (() => void) => {
        calls.push(`${what} asked`)
        return () => calls.push(`${what} done`)
      }
      const methods: Record<string, () => void> = {
        set: () => store.set(sid, stored, note('set')),
        touch: () => store.touch?.(sid, stored, note('touch')),
        get: () => store.get(sid, note('get')),
        destroy: () => store.destroy(sid, note('destroy')),
        getMissing: () => store.get(randomUUID(), note('getMissing')),
        setCookieless: () => store.set(sid, { cookie: null } as never, note('setCookieless')),
      }
      for (const [what, method] of Object.entries(methods)) {
        method()
        expect(calls.at(-1)).toBe(`${what} asked`)
        await until(() => calls.at(-1) === `${what} done`)
      }
      for (let i = 0; i < 20; i++) await turn()
      expect(calls).toHaveLength(2 * Object.keys(methods).length)
    })

    test('a callback that throws is not called again', async () => {
      const sid = randomUUID()
      const others = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      const uncaught: unknown[] = []
      process.on('uncaughtException', error => uncaught.push(error))
      try {
        let calls = 0
        const thrower = (): never => {
          calls++
          throw new Error(`the application's own, ${calls}`)
        }
        store.set(sid, sessionOf({ a: 1 }), thrower)
        store.get(sid, thrower)
        store.destroy(randomUUID(), thrower)
        await until(() => calls === 3)
        for (let i = 0; i < 20; i++) await turn()
        expect(uncaught).toHaveLength(3)
        expect(calls).toBe(3)
        expect(dataOf(await get(sid))).toEqual({ a: 1 })
      } finally {
        process.removeAllListeners('uncaughtException')
        for (const other of others) process.on('uncaughtException', other)
      }
    })

    test('set, touch and destroy need no callback', async () => {
      const sid = randomUUID()
      store.set(sid, sessionOf({ a: 1 }, 60_000))
      await until(async () => dataOf(await get(sid)))
      store.touch?.(sid, sessionOf({ a: 1 }, 60_000))
      store.destroy(sid)
      await until(async () => !(await get(sid)))
    })

    test('createSession makes a live session of a stored one', async () => {
      const sid = randomUUID()
      const stored = sessionOf({ user: 'Ada' }, 60_000)
      await set(sid, stored)
      const req = { sessionID: sid, sessionStore: store } as Parameters<Store['createSession']>[0]
      const live = store.createSession(req, (await get(sid)) as SessionData)
      expect(live).toBeInstanceOf(session.Session)
      expect(req.session).toBe(live)
      expect(live).toMatchObject({ id: sid, user: 'Ada' })
      expect(live.cookie).toBeInstanceOf(session.Cookie)
      expect(live.cookie.expires).toEqual(stored.cookie.expires)
      expect(live.cookie.originalMaxAge).toBe(60_000)

      await called(done => live.touch().save(done))
      Object.assign(live, { user: 'Grace' })
      await called(done => live.save(done))
      expect(dataOf(await get(sid))).toEqual({ user: 'Grace' })
      await called(done => live.reload(done))
      await called(done => req.session.destroy(done))
      expect(await get(sid)).toBeFalsy()
    })

    test('load gives a live session, and none for a missing one', async () => {
      const sid = randomUUID()
      await set(sid, sessionOf({ user: 'Ada' }))
      const load = (id: string) => called<SessionData>(done => store.load(id, done))
      expect(await load(sid)).toMatchObject({ id: sid, user: 'Ada' })
      expect(await load(randomUUID())).toBeFalsy()
    })

    httpContract('Express 5', express5, createStore)
    httpContract('Express 4', express4, createStore)
  })
}
