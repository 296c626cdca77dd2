import { beforeEach, describe, expect, test } from 'vitest'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { TcpProxy } from '../support/proxy.ts'
import { Operations } from '../support/settle.ts'
import { until } from '../support/until.ts'
import { type LiveSession, load, save } from './live.ts'
import { TwoStores } from './two-stores.ts'

const TIMEOUT = 400
const COUNT = 100

describe.skipIf(!hasMemcached)('while memcached stands still', () => {
  let memcached: Memcached
  let proxy: TcpProxy
  let stores: TwoStores

  beforeEach(async () => {
    memcached = await Memcached.start()
    proxy = await TcpProxy.start(memcached.address)
    stores = new TwoStores(
      { servers: proxy.address, timeout: TIMEOUT },
      { servers: memcached.address, timeout: 5000 },
    )
    return async () => {
      memcached.thaw()
      await stores[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
      await memcached.kill()
    }
  })

  function recovered(): Promise<unknown> {
    return until(() =>
      stores.here.get('recovered').then(
        () => true,
        () => false,
      ),
    )
  }

  async function crowd(sid: string): Promise<LiveSession[]> {
    const lives = await Promise.all(Array.from({ length: COUNT }, () => load(stores.here, sid)))
    for (const [number, live] of lives.entries()) live[`key-${number}`] = number
    return lives
  }

  async function codes(operations: Promise<unknown>[]): Promise<unknown[]> {
    const outcomes = await Promise.allSettled(operations)
    return outcomes.map(outcome => (outcome.status === 'rejected' ? outcome.reason.code : null))
  }

  test.each(['stopped', 'mute'])(
    'many saves of one session fail, and only the one on its way may be stored (%s)',
    async how => {
      const sid = await stores.create({ n: 0 })
      const lives = await crowd(sid)
      if (how === 'stopped') await memcached.freeze()
      else proxy.swallow()
      const told = await codes(lives.map(save))
      for (const code of told) expect(code).toMatch(/^ERR_(TIMEOUT|UNAVAILABLE)$/)
      memcached.thaw()
      await proxy.pass()
      await recovered()
      await until(async () => (await stores.stored(sid))?.['key-0'] === 0)
      // Whatever was to follow has had its round trip.
      await stores.here.update(sid, session => {
        Object.assign(session, { updated: 1 })
      })
      expect(await stores.stored(sid)).toEqual({ n: 0, 'key-0': 0, updated: 1 })
      // Who goes on, after all, loses nothing.
      await Promise.all(lives.map(save))
      const keys = Object.fromEntries(lives.map((_, number) => [`key-${number}`, number]))
      expect(await stores.stored(sid)).toEqual({ n: 0, updated: 1, ...keys })
    },
  )

  test('reads, saves, touches, updates and logouts of one session end in time', async () => {
    await using operations = new Operations(stores.here, TIMEOUT)
    await operations.set('one')
    await memcached.freeze()
    const all = Array.from({ length: 50 }, (_, turn) =>
      [operations.set, operations.get, operations.touch, operations.get, operations.destroy][turn % 5]?.call(
        operations,
        'one',
      ),
    )
    const updates = codes(Array.from({ length: 10 }, () => stores.here.update('one', () => {})))
    await Promise.all(all)
    for (const code of await updates) expect(code).toMatch(/^ERR_(TIMEOUT|UNAVAILABLE)$/)
    await operations.settled()
    memcached.thaw()
    await operations.recovered()
  })

  test('a logout or an update that waits behind a save is not made later, once it has failed', async () => {
    for (const how of ['destroy', 'update'] as const) {
      const sid = await stores.create({ n: 0 })
      const live = await load(stores.here, sid)
      await memcached.freeze()
      live.n = 1
      const told = codes([
        save(live),
        how === 'destroy'
          ? stores.here.destroy(sid)
          : stores.here.update(sid, session => {
              Object.assign(session, { updated: 1 })
            }),
      ])
      for (const code of await told) expect(code).toMatch(/^ERR_(TIMEOUT|UNAVAILABLE)$/)
      memcached.thaw()
      await recovered()
      await until(async () => (await stores.stored(sid))?.n === 1)
      await stores.here.update(sid, session => {
        Object.assign(session, { later: 1 })
      })
      expect(await stores.stored(sid)).toEqual({ n: 1, later: 1 })
    }
  })

  test('shorter than the timeout: nobody notices', async () => {
    await stores[Symbol.asyncDispose]()
    stores = new TwoStores({ servers: proxy.address, timeout: 5000 })
    const sid = await stores.create({ n: 0 })
    const lives = await crowd(sid)
    await memcached.freeze()
    const before = proxy.count()
    const saves = lives.map(save)
    const reads = Array.from({ length: 10 }, () => stores.here.get(sid))
    await until(() => proxy.count() > before)
    memcached.thaw()
    await Promise.all(saves)
    const keys = Object.fromEntries(lives.map((_, number) => [`key-${number}`, number]))
    expect(await stores.stored(sid)).toEqual({ n: 0, ...keys })
    for (const read of await Promise.all(reads)) expect(read).toMatchObject({ n: 0, ...keys })
  })
})
