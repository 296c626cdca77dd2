import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { describe, expect, inject, test } from 'vitest'
import { fewOrMany } from '../support/few-or-many.ts'
import { type AnySession, makeSession, TwoStores } from './two-stores.ts'

const servers = inject('memcached')
const MANY = fewOrMany(300, 5000)

function increment(session: SessionData): void {
  const data = session as unknown as { count: number }
  data.count++
}

describe.skipIf(servers === null)('update', () => {
  const start = (): TwoStores => new TwoStores({ servers: servers as string, touchAfter: 0 })

  test('begins again where another process wrote in between', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    let calls = 0
    const updated = await stores.here.update(sid, async session => {
      if (++calls <= 3) await stores.edit(sid, increment)
      increment(session)
    })
    expect(calls).toBe(4)
    expect(updated).toMatchObject({ count: 4 })
    expect(await stores.stored(sid)).toEqual({ count: 4 })
  })

  test('changes how long a session lives by `maxAge`, as on a live one', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    await stores.here.update(sid, session => {
      session.cookie.maxAge = 5000
    })
    const { cookie } = await stores.read(sid)
    expect(cookie).toMatchObject({ originalMaxAge: 5000, expires: expect.any(String) })
    expect(cookie).not.toHaveProperty('maxAge')
    expect(Date.parse(String(cookie.expires)) - Date.now()).toBeLessThanOrEqual(5000)
  })

  test('does not undo a logout that came in between', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    let calls = 0
    const updated = await stores.here.update(sid, async session => {
      calls++
      await stores.elsewhere.destroy(sid)
      increment(session)
    })
    expect([updated, calls]).toEqual([null, 1])
    expect(await stores.stored(sid)).toBeNull()
  })

  test('loses nothing beside requests that save', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    const saves = Array.from({ length: 20 }, async (_, number) => {
      const mine = await stores.read(sid)
      mine[`key-${number}`] = number
      await stores.here.set(sid, mine)
    })
    const updates = Array.from({ length: 100 }, (_, number) =>
      (number % 2 === 0 ? stores.here : stores.elsewhere).update(sid, increment),
    )
    await Promise.all([...saves, ...updates])
    const keys = Object.fromEntries(saves.map((_, number) => [`key-${number}`, number]))
    expect(await stores.stored(sid)).toEqual({ count: 100, ...keys })
  })

  test(`counts exactly with ${MANY.toLocaleString('en')} of them under way at once, of two stores`, async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    const updates = Array.from({ length: MANY }, (_, number) =>
      (number % 2 === 0 ? stores.here : stores.elsewhere).update(sid, increment),
    )
    await Promise.all(updates)
    expect(await stores.stored(sid)).toEqual({ count: MANY })
  })

  test('may give another session, which replaces the stored one whole', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    const replaced = await stores.here.update(sid, async () => makeSession({ other: 1 }))
    expect(replaced).toMatchObject({ other: 1 })
    expect(await stores.stored(sid)).toEqual({ other: 1 })
  })

  test('gives null and calls nothing where there is no session', async () => {
    await using stores = start()
    const gone = await stores.create({})
    await stores.here.destroy(gone)
    for (const sid of [randomUUID(), gone]) {
      expect(await stores.here.update(sid, () => expect.fail('called'))).toBeNull()
      expect(await stores.stored(sid)).toBeNull()
    }
  })

  test('fails with what the function throws, changes nothing, and lets the next one pass', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    const failing = stores.here.update(sid, session => {
      increment(session)
      throw new RangeError('mine')
    })
    const next = stores.here.update(sid, increment)
    await expect(failing).rejects.toThrow(new RangeError('mine'))
    expect(await next).toMatchObject({ count: 1 })
    const noSession = stores.here.update(sid, () => ({ count: 9 }) as unknown as AnySession)
    await expect(noSession).rejects.toThrow(TypeError)
    const thrown = await new Promise(resolve => stores.here.update(sid, throwNull, resolve))
    expect(thrown).toBeInstanceOf(Error)
    expect(await stores.stored(sid)).toEqual({ count: 1 })
  })
})

function throwNull(): void {
  throw null
}
