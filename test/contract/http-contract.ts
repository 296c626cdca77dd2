import type express5 from 'express'
import type { Express } from 'express'
import type { SessionData, SessionOptions, Store } from 'express-session'
import request, { type Response as Answer, type Test } from 'supertest'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createApp, MINUTE } from './app.ts'
import { type CreateStore, called, close } from './calls.ts'

interface Started {
  readonly store: Store
  readonly app: Express
  /** Keeps cookies. */
  readonly browser: ReturnType<typeof request.agent>
}

/** A store under express-session, in an application with real requests. */
export function httpContract(name: string, express: typeof express5, createStore: CreateStore): void {
  describe(name, () => {
    // Only the clock: time passes when a test says so, and at once.
    beforeEach(() => {
      // At a whole second, since a cookie's date has no milliseconds.
      vi.useFakeTimers({ toFake: ['Date'], now: Math.floor(Date.now() / 1000) * 1000 })
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    async function start(options: Partial<SessionOptions> = {}): Promise<Started> {
      // express-session puts the cookie's options on the store, so each application gets one of its own.
      const store = await createStore()
      onTestFinished(() => close(store))
      const app = createApp(express, store, options)
      return { store, app, browser: request.agent(app) }
    }

    test('signs in, reads, changes and signs out', async () => {
      const { store, browser } = await start()
      const anonymous = await browser.get('/')
      expect(cookieOf(anonymous)).toBeUndefined()

      const signedIn = await ok(browser.post('/sign-in').send({ user: 'Ada' }))
      const cookie = cookieOf(signedIn) as string
      expect(cookie).toMatch(/^connect\.sid=s%3A.+; Path=\/; HttpOnly$/)
      expect(await ok(browser.get('/'))).toMatchObject({ body: { id: signedIn.body.id, user: 'Ada' } })

      await ok(browser.post('/').send({ cart: ['pen'] }))
      const changed = await ok(browser.get('/'))
      expect(changed.body).toEqual({ id: signedIn.body.id, user: 'Ada', cart: ['pen'] })

      await ok(browser.post('/sign-out'))
      expect(await found(store, signedIn.body.id)).toBeFalsy()
      // The browser still sends its cookie; so would a thief.
      const after = await ok(browser.get('/').set('Cookie', cookie.split(';')[0] as string))
      expect(after.body).toEqual({ id: expect.any(String) })
      expect(after.body.id).not.toBe(signedIn.body.id)
    })

    test('a key that is deleted is gone', async () => {
      const { browser } = await start()
      await ok(browser.post('/').send({ a: 1, b: 2 }))
      await ok(browser.post('/delete/a'))
      const { body } = await ok(browser.get('/'))
      expect(body).toEqual({ id: body.id, b: 2 })
    })

    test('regenerate gives a new id, and the old one is refused', async () => {
      const { store, browser } = await start()
      const before = await ok(browser.post('/').send({ guest: true }))
      const after = await ok(browser.post('/sign-in').send({ user: 'Ada' }))
      expect(after.body).toEqual({ id: expect.any(String), user: 'Ada' })
      expect(after.body.id).not.toBe(before.body.id)
      expect(await found(store, before.body.id)).toBeFalsy()
      expect(await found(store, after.body.id)).toMatchObject({ user: 'Ada' })
    })

    test('reload drops the changes of the request and sees those of others', async () => {
      const { store, browser } = await start()
      const { body } = await ok(browser.post('/').send({ a: 1 }))
      const stored = (await found(store, body.id)) as SessionData
      await called(done => store.set(body.id, { ...stored, ...{ b: 2 } }, done))
      const reloaded = await ok(browser.post('/reload').send({ a: 'lost', c: 'lost' }))
      expect(reloaded.body).toEqual({ id: body.id, a: 1, b: 2 })
      expect((await ok(browser.get('/'))).body).toEqual({ id: body.id, a: 1, b: 2 })
    })

    test('save in the middle of a request, and again at its end', async () => {
      const { browser } = await start()
      await ok(browser.post('/').send({ a: 1 }))
      const saved = await ok(browser.post('/save').send({ b: 2 }))
      expect(saved.body.seen).toMatchObject({ a: 1, b: 2 })
      expect((await ok(browser.get('/'))).body).toEqual({ id: saved.body.id, a: 1, b: 2, saved: true })
    })

    test('unset: destroy ends the session that a request sets to null', async () => {
      const { store, browser } = await start({ unset: 'destroy' })
      const { body } = await ok(browser.post('/').send({ a: 1 }))
      await ok(browser.post('/unset'))
      expect(await found(store, body.id)).toBeFalsy()
    })

    test('a session lives as long as it is used, and no longer', async () => {
      const { store, browser } = await start({ rolling: true, cookie: { maxAge: MINUTE } })
      const first = await ok(browser.post('/').send({ a: 1 }))
      expect(expiresIn(first)).toBe(Date.now() + MINUTE)
      for (let i = 0; i < 3; i++) {
        pass(0.7 * MINUTE)
        const next = await ok(browser.get('/'))
        expect(next.body).toEqual({ id: first.body.id, a: 1 })
        expect(expiresIn(next)).toBe(Date.now() + MINUTE)
      }
      pass(0.9 * MINUTE)
      expect(await found(store, first.body.id)).toMatchObject({ a: 1 })
      // A store may be late by a hundredth of the life.
      pass(0.12 * MINUTE)
      expect(await found(store, first.body.id)).toBeFalsy()
    })

    test('without rolling the session is touched, and the cookie is not sent again', async () => {
      const { store, browser } = await start({ cookie: { maxAge: MINUTE } })
      const first = await ok(browser.post('/').send({ a: 1 }))
      pass(0.7 * MINUTE)
      const second = await ok(browser.get('/'))
      expect(cookieOf(second)).toBeUndefined()
      pass(0.7 * MINUTE)
      expect(await found(store, first.body.id)).toMatchObject({ a: 1 })
    })

    test('a cookie without an expiry ends with the browser, its session is kept', async () => {
      const { store, browser } = await start()
      const first = await ok(browser.post('/').send({ a: 1 }))
      expect(cookieOf(first)).not.toMatch(/expires|max-age/i)
      pass(60 * MINUTE)
      expect((await ok(browser.get('/'))).body).toEqual({ id: first.body.id, a: 1 })
      expect(await found(store, first.body.id)).toMatchObject({ a: 1 })
    })

    test('a request may lengthen the life of its session', async () => {
      const { store, browser } = await start({ cookie: { maxAge: MINUTE } })
      const { body } = await ok(browser.post('/').send({ a: 1 }))
      await ok(browser.post('/remember'))
      pass(30 * MINUTE)
      const kept = (await found(store, body.id)) as SessionData
      expect(kept).toMatchObject({ a: 1, cookie: { originalMaxAge: 60 * MINUTE } })
    })

    test('saveUninitialized: false stores nothing for a visitor who only looks', async () => {
      const { store, browser } = await start({ saveUninitialized: false })
      const looked = await ok(browser.get('/'))
      expect(cookieOf(looked)).toBeUndefined()
      expect(await found(store, looked.body.id)).toBeFalsy()
    })

    test('saveUninitialized: true stores a session for every visitor', async () => {
      const { store, browser } = await start({ saveUninitialized: true })
      const looked = await ok(browser.get('/'))
      expect(cookieOf(looked)).toBeDefined()
      expect(await found(store, looked.body.id)).toBeTruthy()
      expect((await ok(browser.get('/'))).body.id).toBe(looked.body.id)
    })

    test('resave: true keeps a session over requests that only read, and alive', async () => {
      const { store, browser } = await start({ resave: true, cookie: { maxAge: MINUTE }, rolling: true })
      const first = await ok(browser.post('/').send({ a: 1 }))
      for (let i = 0; i < 3; i++) {
        pass(0.7 * MINUTE)
        expect((await ok(browser.get('/'))).body).toEqual({ id: first.body.id, a: 1 })
      }
      expect(await found(store, first.body.id)).toMatchObject({ a: 1 })
    })

    test.each([
      ['a forged id', (cookie: string) => cookie.replace('=s%3A', '=s%3Ax')],
      ['no signature', (cookie: string) => cookie.replace(/\..*/, '').replace('s%3A', '')],
      ['a wrong signature', (cookie: string) => cookie.slice(0, -3)],
      ['the id of a session that is gone', (cookie: string) => cookie],
    ])('a cookie with %s gets no session, and no error', async (what, change) => {
      const { store, app, browser } = await start()
      const first = await ok(browser.post('/').send({ a: 1 }))
      const { body } = first
      const [cookie] = (cookieOf(first) as string).split(';') as [string]
      expect((await ok(request(app).get('/').set('Cookie', cookie))).body).toHaveProperty('a')
      if (what.endsWith('gone')) await called(done => store.destroy(body.id, done))
      const answer = await ok(request(app).get('/').set('Cookie', change(cookie)))
      expect(answer.body).toEqual({ id: expect.any(String) })
      expect(answer.body.id).not.toBe(body.id)
    })
  })
}

async function ok(asked: Test): Promise<Answer> {
  const answer = await asked
  expect(answer.status, answer.text).toBe(200)
  return answer
}

function found(store: Store, sid: string): Promise<SessionData | null | undefined> {
  return called<SessionData>(done => store.get(sid, done))
}

function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds)
}

function cookieOf(answer: Answer): string | undefined {
  return answer.get('Set-Cookie')?.[0]
}

/** The cookie's date, to the second: HTTP knows no less. */
function expiresIn(answer: Answer): number {
  const date = /Expires=([^;]+)/.exec(cookieOf(answer) ?? '')?.[1]
  return Date.parse(date ?? '')
}
