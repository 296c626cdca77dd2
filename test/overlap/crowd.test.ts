import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DRIFTED } from '../support/drifted.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { OPCODE, refuse, WRITES } from '../support/frames.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { isText } from '../support/protocol.ts'
import { TcpProxy } from '../support/proxy.ts'
import { load, save } from './live.ts'
import { type AnySession, TwoStores } from './two-stores.ts'

const COUNT = 500
const MANY = fewOrMany(3000, 10_000)

function increment(session: SessionData): void {
  const counted = session as unknown as { count: number }
  counted.count++
}

/** Milliseconds of one that takes its time. */
const SLOW = 2

function incrementSlowly(session: SessionData): void {
  const end = performance.now() + SLOW
  while (performance.now() < end);
  increment(session)
}

describe.skipIf(!hasMemcached)('a crowd at one session', () => {
  let memcached: Memcached
  let proxy: TcpProxy
  let stores: TwoStores

  beforeAll(async () => {
    memcached = await Memcached.start()
  })
  afterAll(() => memcached.kill())
  beforeEach(async () => {
    proxy = await TcpProxy.start(memcached.address)
    start(5000)
    return async () => {
      await stores[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
    }
  })

  function start(timeout: number): void {
    stores = new TwoStores({ servers: proxy.address, timeout }, { servers: memcached.address, timeout: 5000 })
  }

  const writes = (): number => proxy.count(OPCODE.set, OPCODE.add, OPCODE.replace)

  /** So many sessions as so many requests have them, each with a change of its own. */
  async function crowd(sid: string, name = 'key'): Promise<{ saves: (() => Promise<void>)[]; keys: object }> {
    const lives = await Promise.all(Array.from({ length: COUNT }, () => load(stores.here, sid)))
    const keys: Record<string, number> = {}
    for (const [number, live] of lives.entries()) {
      live[`${name}-${number}`] = number
      keys[`${name}-${number}`] = number
    }
    return { saves: lives.map(live => () => save(live)), keys }
  }

  test('of 500 saves: each is kept and told so, in a few writes', async () => {
    await stores[Symbol.asyncDispose]()
    start(500)
    const sid = await stores.create({ n: 0 })
    const { saves, keys } = await crowd(sid)
    proxy.requests.clear()
    await Promise.all(saves.map(start => start()))
    expect(await stores.stored(sid)).toEqual({ n: 0, ...keys })
    expect(writes()).toBeLessThan(COUNT / 4)
    // Text does not tell the version of what was written, so that each write takes a look.
    expect(proxy.count(OPCODE.get)).toBeLessThan(isText ? COUNT / 4 : 5)
  })

  test('of 500 saves while another process changes it, too', async () => {
    const sid = await stores.create({ n: 0, count: 0 })
    const { saves, keys } = await crowd(sid)
    proxy.requests.clear()
    let isOver = false
    const others = (async () => {
      let count = 0
      for (; !isOver; count++) {
        await stores.elsewhere.update(sid, increment)
        await sleep(1)
      }
      return count
    })()
    const saving = Promise.all(saves.map(start => start())).finally(() => {
      isOver = true
    })
    const [count] = await Promise.all([others, saving])
    expect(await stores.stored(sid)).toEqual({ n: 0, count, ...keys })
  })

  test('of 500 saves that come one after the other while the first is on its way', async () => {
    const sid = await stores.create({ n: 0 })
    const { saves, keys } = await crowd(sid)
    proxy.requests.clear()
    const started: Promise<void>[] = []
    for (const [number, start] of saves.entries()) {
      started.push(start())
      if (number % 50 === 0) await sleep(1)
    }
    await Promise.all(started)
    expect(await stores.stored(sid)).toEqual({ n: 0, ...keys })
  })

  test('of 500 touches that are due: one write', async () => {
    const sid = await stores.create({ n: 0 })
    const lives = await Promise.all(Array.from({ length: COUNT }, () => load(stores.here, sid)))
    proxy.requests.clear()
    for (const live of lives) live.cookie.maxAge = 3_600_000
    await Promise.all(lives.map(live => stores.here.touch(sid, live)))
    expect(writes()).toBeLessThan(5)
    expect((await stores.read(sid)).cookie.originalMaxAge).toBeCloseTo(3_600_000, DRIFTED)
  })

  test('of 10,000 reads and 10,000 updates: all counted and told', async () => {
    const sid = await stores.create({ count: 0 })
    proxy.requests.clear()
    const outcomes: Promise<unknown>[] = []
    for (let turn = 0; turn < MANY; turn++) {
      outcomes.push(stores.here.get(sid), stores.here.update(sid, increment))
    }
    const values = (await Promise.all(outcomes)) as AnySession[]
    // Each read comes after the updates that were asked for before it.
    const early = values.filter(
      (value, index) => index % 2 === 0 && (value.count as number) < Math.floor(index / 2),
    )
    expect(early).toEqual([])
    expect(await stores.stored(sid)).toEqual({ count: MANY })
    expect(writes()).toBeLessThan(MANY / 10)
  })

  test('whose functions take their time is written in parts, so that the event loop goes round', async () => {
    const sid = await stores.create({ count: 0 })
    proxy.requests.clear()
    await Promise.all(Array.from({ length: 50 }, () => stores.here.update(sid, incrementSlowly)))
    expect(await stores.stored(sid)).toEqual({ count: 50 })
    // All at once they would be two writes; of more than six the event loop would have to wait for longer than it may.
    expect(writes()).toBeGreaterThan(5)
    expect(writes()).toBeLessThan(51)
  })

  test('does not keep others waiting', async () => {
    const [sid, other] = [await stores.create({ count: 0 }), await stores.create({ count: 0 })]
    const updates = Array.from({ length: MANY }, () => stores.here.update(sid, increment))
    let isOver = false
    const crowded = Promise.all(updates).finally(() => {
      isOver = true
    })
    let served = 0
    do {
      await stores.here.update(other, increment)
      served++
    } while (!isOver)
    await crowded
    expect(served).toBeGreaterThan(1)
    expect(await stores.stored(other)).toEqual({ count: served })
    expect(await stores.stored(sid)).toEqual({ count: MANY })
  })

  test('a read goes ahead of a save that others keep from its end', async () => {
    start(300)
    const sid = await stores.create({ n: 0 })
    const live = await load(stores.here, sid)
    // Somebody else is faster each time.
    proxy.tamper((reply, opcode) => {
      return WRITES.has(opcode) ? refuse(reply) : reply
    })
    live.n = 1
    let hasEnded = false
    const saved = save(live).finally(() => {
      hasEnded = true
    })
    await stores.here.get(sid)
    expect(hasEnded).toBe(false)
    await expect(saved).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  })
})
