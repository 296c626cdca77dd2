import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import { describe, expect, inject, test } from 'vitest'
import type { MemcachedStoreOptions } from '../../lib/index.ts'
import { DRIFTED } from '../support/drifted.ts'
import { load, save } from './live.ts'
import { Gate } from './scripted-app.ts'
import { type AnySession, TwoStores } from './two-stores.ts'

const servers = inject('memcached')
const TIMEOUT = 300

const never: Promise<never> = new Promise(() => {})

function increment(session: SessionData): void {
  const counted = session as unknown as { count: number }
  counted.count++
}

function start(options: MemcachedStoreOptions = {}): TwoStores {
  return new TwoStores(
    { servers: servers as string, timeout: TIMEOUT, ...options },
    { timeout: 5000, onConflict: 'merge' },
  )
}

describe.skipIf(servers === null).concurrent('an update whose function takes longer than the timeout', () => {
  test('is made, and saves that come meanwhile are, too, without waiting for it', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    const gate = new Gate()
    let calls = 0
    let isOver = false
    const updating = stores.here
      .update(sid, async session => {
        // The first time only: then others have come in between.
        if (++calls === 1) await gate.pass()
        increment(session)
      })
      .finally(() => {
        isOver = true
      })
    const live = await load(stores.here, sid)
    for (let turn = 0; turn < 5; turn++) {
      live[`mine-${turn}`] = turn
      await save(live)
      expect(await stores.stored(sid)).toMatchObject({ [`mine-${turn}`]: turn })
    }
    await sleep(TIMEOUT * 2)
    expect(isOver).toBe(false)
    gate.open()
    expect(await updating).toMatchObject({ count: 1, 'mine-4': 4 })
    expect(calls).toBe(2)
    expect(await stores.stored(sid)).toMatchObject({ count: 1, 'mine-0': 0, 'mine-4': 4 })
  })

  test('is made once where nobody came in between', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    let calls = 0
    const updated = await stores.here.update(sid, async session => {
      calls++
      await sleep(TIMEOUT * 2)
      increment(session)
    })
    expect([calls, updated]).toMatchObject([1, { count: 1 }])
  })

  test('does not undo a logout, nor a refresh', async () => {
    await using stores = start()
    for (const how of ['destroy', 'touch'] as const) {
      const sid = await stores.create({ count: 0 })
      const gate = new Gate()
      const updating = stores.here.update(sid, async session => {
        if (gate.waiting === 0) await gate.pass()
        increment(session)
      })
      const live = await load(stores.here, sid)
      if (how === 'destroy') {
        await stores.here.destroy(sid)
      } else {
        live.cookie.maxAge = 3_600_000
        await stores.here.touch(sid, live)
      }
      gate.open()
      await Promise.resolve()
      const opening = setInterval(() => gate.open(), 5)
      const updated = await updating.finally(() => clearInterval(opening))
      if (how === 'destroy') {
        expect(updated).toBeNull()
        expect(await stores.stored(sid)).toBeNull()
      } else {
        expect(await stores.stored(sid)).toEqual({ count: 1 })
        expect((await stores.read(sid)).cookie.originalMaxAge).toBeCloseTo(3_600_000, DRIFTED)
      }
    }
  })

  test('four of them at once, beside saves: each is made, and no save fails for them', async () => {
    await using stores = start()
    const sid = await stores.create({ count: 0 })
    const updates = Promise.allSettled(
      Array.from({ length: 4 }, () =>
        stores.here.update(sid, async session => {
          await sleep(TIMEOUT * 1.5)
          increment(session)
        }),
      ),
    )
    const lives = await Promise.all(Array.from({ length: 10 }, () => load(stores.here, sid)))
    const keys: Record<string, number> = {}
    const saves = lives.map((live, number) => {
      live[`key-${number}`] = number
      keys[`key-${number}`] = number
      return save(live)
    })
    expect((await Promise.allSettled(saves)).filter(({ status }) => status === 'rejected')).toEqual([])
    expect((await updates).filter(({ status }) => status === 'rejected')).toEqual([])
    expect(await stores.stored(sid)).toEqual({ count: 4, ...keys })
  })

  test('that never ends keeps nobody else from anything', async () => {
    const stores = start()
    const sid = await stores.create({ count: 0 })
    void stores.here.update(sid, () => never)
    const live = await load(stores.here, sid)
    live.mine = 1
    await save(live)
    await stores.here.update(sid, increment)
    await stores.here.touch(sid, live.touch())
    expect(await stores.stored(sid)).toEqual({ count: 1, mine: 1 })
    await stores.here.destroy(sid)
    expect(await stores.stored(sid)).toBeNull()
    await stores.elsewhere.close()
  })
})

describe.skipIf(servers === null).concurrent('an `onConflict` function', () => {
  test('that never settles: its save fails in time, and others go on', async () => {
    await using stores = start({ onConflict: () => never })
    const sid = await stores.create({ a: 1 })
    const [one, two] = [await load(stores.here, sid), await load(stores.here, sid)]
    await stores.edit(sid, theirs => {
      theirs.theirs = 1
    })
    one.one = 1
    two.two = 1
    const failing = Promise.allSettled([save(one), save(two)])
    await stores.here.update(sid, session => {
      Object.assign(session, { updated: 1 })
    })
    const timedOut = { status: 'rejected', reason: { code: 'ERR_TIMEOUT' } }
    expect(await failing).toMatchObject([timedOut, timedOut])
    expect(await stores.stored(sid)).toEqual({ a: 1, theirs: 1, updated: 1 })
    const fresh = await load(stores.here, sid)
    fresh.fresh = 1
    await save(fresh)
    expect(await stores.stored(sid)).toEqual({ a: 1, theirs: 1, updated: 1, fresh: 1 })
  })

  test('that settles too late stores nothing any more', async () => {
    const gate = new Gate()
    let calls = 0
    await using stores = start({
      onConflict: async (_base, mine) => {
        calls++
        await gate.pass()
        return mine
      },
    })
    const sid = await stores.create({ a: 1 })
    const live = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      theirs.theirs = 1
    })
    live.mine = 1
    await expect(save(live)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
    gate.open()
    await stores.here.update(sid, session => {
      Object.assign(session, { updated: 1 })
    })
    expect(await stores.stored(sid)).toEqual({ a: 1, theirs: 1, updated: 1 })
    expect(calls).toBe(1)
  })

  test('that takes most of the timeout decides, also on what came in between', async () => {
    await using stores = start({
      timeout: 2000,
      onConflict: async (_base, mine, theirs) => {
        await sleep(1200)
        return { ...theirs, ...mine, decided: 1 } as AnySession
      },
    })
    const sid = await stores.create({ a: 1 })
    const live = await load(stores.here, sid)
    await stores.edit(sid, theirs => {
      theirs.theirs = 1
    })
    live.mine = 1
    await save(live)
    expect(await stores.stored(sid)).toEqual({ a: 1, theirs: 1, mine: 1, decided: 1 })
    expect(stores.conflicts).toEqual([[sid, 'resolved']])
  })

  test('that throws fails its own save only', async () => {
    await using stores = start({
      onConflict: (_base, mine) => {
        if ('bad' in mine) throw new RangeError('mine')
        return mine
      },
    })
    const sid = await stores.create({ a: 1 })
    const lives = await Promise.all(Array.from({ length: 6 }, () => load(stores.here, sid)))
    await stores.edit(sid, theirs => {
      theirs.theirs = 1
    })
    const saves = lives.map((live, number) => {
      live[number % 2 === 0 ? 'good' : 'bad'] = number
      return save(live)
    })
    const outcomes = (await Promise.allSettled(saves)).map(({ status }) => status)
    expect(outcomes).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect(await stores.stored(sid)).toEqual({ a: 1, good: 4 })
  })
})
