import { MemoryStore } from 'express-session'
import { describe, expect, test } from 'vitest'
import type { MemcachedStore } from '../../lib/index.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { Changing, counting, countOf, movedBetween } from './changing.ts'

const SIDS = Array.from({ length: 200 }, (_, number) => `session-${number}`)

async function fill(store: MemcachedStore): Promise<void> {
  await Promise.all(SIDS.map((sid, number) => store.set(sid, counting(number))))
}

async function missing(store: MemcachedStore): Promise<string[]> {
  const found = await store.getMany(SIDS)
  return SIDS.filter(sid => !found.has(sid))
}

/** Resolves when it is told to. */
function later<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>(given => {
    resolve = given
  })
  return { promise, resolve }
}

describe.skipIf(!hasMemcached)('before the servers are known', () => {
  test('operations wait for them', async () => {
    await using memcached = await Memcached.start()
    const { promise, resolve } = later<string>()
    await using changing = new Changing(() => promise, { refresh: 60 })
    const { store } = changing
    const all = [store.set('a', counting(1)), store.update('b', () => {}), store.length(), store.stats()]
    resolve(memcached.address)
    const [, updated, length, stats] = await Promise.all(all)
    expect(updated).toBeNull()
    expect([0, 1]).toContain(length)
    expect(stats).toMatchObject({ servers: [{ reachable: true }] })
    expect(countOf(await store.get('a'))).toBe(1)
    expect(changing.changes).toBe(0)
  })

  test('they fail with what the function threw, which is asked again soon', async () => {
    await using memcached = await Memcached.start()
    const failure = new Error('no such zone')
    await using changing = new Changing(
      () => {
        throw failure
      },
      { refresh: 86_400 },
    )
    const { store } = changing
    const unavailable = { code: 'ERR_UNAVAILABLE', status: 503, cause: failure }
    // It waits for the answer, and comes after it.
    await expect(store.get('a')).rejects.toMatchObject(unavailable)
    await expect(store.set('a', counting(1))).rejects.toMatchObject(unavailable)
    await expect(store.length()).rejects.toMatchObject(unavailable)
    changing.answer = () => memcached.address
    await until(() =>
      store.set('a', counting(1)).then(
        () => true,
        () => false,
      ),
    )
    expect(countOf(await store.get('a'))).toBe(1)
  })

  test.each([
    ['an empty string', ''],
    ['an empty list', []],
    ['nothing', undefined],
    ['an object', { host: 'a' }],
  ])('%s is no answer', async (_, answer) => {
    await using changing = new Changing(() => answer)
    const error = await changing.store.get('a').catch(error => error)
    expect(error).toMatchObject({ code: 'ERR_UNAVAILABLE', cause: expect.any(TypeError) })
  })

  test('they wait no longer than their timeout', async () => {
    await using changing = new Changing(() => new Promise(() => {}), { timeout: 50, refresh: 60 })
    const outcomes = await Promise.allSettled([changing.store.get('a'), changing.store.set('b', counting(1))])
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        reason: { code: 'ERR_UNAVAILABLE', message: /not answered within 50 ms/ },
      })
    }
  })
})

describe.skipIf(!hasMemcached)('a list that changes', () => {
  test('moves the sessions that the ring says, and no other', async () => {
    await using servers = await Fleet.start(4)
    const [three, four] = [servers.first(3), servers.first(4)]
    await using changing = new Changing(() => three)
    const { store } = changing
    const told: unknown[] = []
    store.on('servers', (...args) => told.push(args))
    await fill(store)
    await changing.become(four)
    expect(told).toEqual([[four, three]])
    const moved = movedBetween(three, four, SIDS)
    expect(moved.length).toBeGreaterThan(10)
    expect(await missing(store)).toEqual(moved)
    expect((await store.ids()).sort()).toEqual(SIDS.filter(sid => !moved.includes(sid)).sort())
    expect((await store.stats()).servers.map(({ address }) => address)).toEqual(four)
  })

  test('another order is no change', async () => {
    await using servers = await Fleet.start(3)
    await using changing = new Changing(() => servers.first(3))
    await fill(changing.store)
    await changing.mumble(() => servers.first(3).reverse())
    expect(await missing(changing.store)).toEqual([])
    expect(changing.changes).toBe(0)
  })

  test.each<[string, () => unknown]>([
    ['fails', () => Promise.reject(new Error('no network'))],
    ['throws', () => JSON.parse('{')],
    ['gives nothing', () => []],
    ['gives nonsense', () => 'a b'],
    ['names a server twice', () => ['127.0.0.1:11211', '127.0.0.1']],
    ['does not end', () => new Promise(() => {})],
  ])('the old one is kept where the function %s', async (_, answer) => {
    await using servers = await Fleet.start(2)
    await using changing = new Changing(() => servers.first(2))
    await fill(changing.store)
    await changing.mumble(answer)
    expect(await missing(changing.store)).toEqual([])
    expect(changing.changes).toBe(0)
    await changing.become(servers.first(1))
  })

  test('a server that stays keeps its connection', async () => {
    await using servers = await Fleet.start(2)
    await using proxy = await TcpProxy.start(servers.first(1)[0] as string)
    await using changing = new Changing(() => [proxy.address])
    await fill(changing.store)
    // A read that is under way, on a connection that would be lost with it.
    proxy.hold()
    const sid = SIDS.find(
      sid =>
        movedBetween([proxy.address], [proxy.address, servers.first(2)[1] as string], [sid]).length === 0,
    )
    const read = changing.store.get(sid as string)
    await changing.become([proxy.address, servers.first(2)[1] as string])
    await proxy.pass()
    expect(await read).not.toBeNull()
    expect(proxy.open).toBe(1)
  })

  test('a server that leaves finishes what is under way, and is closed', async () => {
    await using servers = await Fleet.start(2)
    await using proxy = await TcpProxy.start(servers.first(1)[0] as string)
    const other = servers.first(2)[1] as string
    await using changing = new Changing(() => proxy.address, { timeout: 1500 })
    await fill(changing.store)
    proxy.hold()
    const read = changing.store.get('session-7')
    await changing.become([other])
    const write = changing.store.set('new', counting(1))
    await proxy.pass()
    expect(countOf(await read)).toBe(7)
    await write
    await until(() => proxy.open === 0)
    expect(countOf(await changing.store.get('new'))).toBe(1)
  })

  test('the function is asked at once when all servers are down', async () => {
    await using servers = await Fleet.start(2)
    await using changing = new Changing(() => servers.first(1), {
      refresh: 86_400,
      onUnavailable: 'anonymous',
      timeout: 300,
    })
    const { store } = changing
    const events: string[] = []
    store.on('connect', () => events.push('connect'))
    store.on('disconnect', () => events.push('disconnect'))
    await store.set('a', counting(1))
    changing.answer = () => servers.first(2).slice(1)
    await servers.all[0]?.kill()
    await store.get('a').catch(() => {})
    await until(() => changing.changes === 1)
    // express-session asks nothing after `disconnect`.
    await until(() => events.at(-1) === 'connect')
    await store.set('a', counting(2))
    expect(countOf(await store.get('a'))).toBe(2)
    expect(events).toEqual(['connect', 'disconnect', 'connect'])
  })

  test('with another password it is the same list', async () => {
    await using servers = await Fleet.start(2)
    const addresses = servers.first(2)
    await using changing = new Changing(() => addresses)
    await fill(changing.store)
    await changing.mumble(() => addresses.map(address => `memcached+text://${address}`))
    expect(await missing(changing.store)).toEqual([])
    expect(changing.changes).toBe(0)
  })
})

describe.skipIf(!hasMemcached)('a lock whose home has moved', () => {
  test('is lost, and its holder hears of it', async () => {
    await using servers = await Fleet.start(3)
    const [two, three] = [servers.first(2), servers.first(3)]
    const sid = movedBetween(two, three, SIDS)[0] as string
    await using changing = new Changing(() => two)
    const held = changing.store.withLock(
      sid,
      async ({ signal }) => {
        await changing.become(three)
        await until(() => signal.aborted)
      },
      { lease: 2 },
    )
    await expect(held).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  })
})

describe.skipIf(!hasMemcached)('a list that changes back brings nothing old back', () => {
  async function moving(): Promise<{ servers: Fleet; two: string[]; three: string[]; sid: string }> {
    const servers = await Fleet.start(3)
    const [two, three] = [servers.first(2), servers.first(3)]
    return { servers, two, three, sid: movedBetween(two, three, SIDS)[0] as string }
  }

  test('what nobody has changed meanwhile is there again', async () => {
    const { servers, two, three } = await moving()
    await using _servers = servers
    await using changing = new Changing(() => two)
    await fill(changing.store)
    await changing.become(three)
    await changing.become(two)
    expect(await missing(changing.store)).toEqual([])
  })

  test('no session that was stored on its new home', async () => {
    const { servers, two, three, sid } = await moving()
    await using _servers = servers
    await using changing = new Changing(() => two)
    const { store } = changing
    await store.set(sid, counting(1))
    await changing.become(three)
    expect(await store.get(sid)).toBeNull()
    await store.set(sid, counting(2))
    await changing.become(two)
    expect(await store.get(sid)).toBeNull()
  })

  test('no session that was logged out on its new home', async () => {
    const { servers, two, three, sid } = await moving()
    await using _servers = servers
    await using changing = new Changing(() => two)
    const { store } = changing
    await store.set(sid, counting(1))
    await changing.become(three)
    await store.destroy(sid)
    await changing.become(two)
    expect(await store.get(sid)).toBeNull()
  })

  test('nor one on a server that had left', async () => {
    await using servers = await Fleet.start(3)
    const [two, three] = [servers.first(2), servers.first(3)]
    const [one, other] = movedBetween(two, three, SIDS) as [string, string]
    await using changing = new Changing(() => three)
    const { store } = changing
    await store.set(one, counting(1))
    await store.set(other, counting(1))
    await changing.become(two)
    await store.set(one, counting(2))
    await store.destroy(other)
    await changing.become(three)
    expect(await store.get(one)).toBeNull()
    expect(await store.get(other)).toBeNull()
  })

  test('after several lists', async () => {
    const { servers, two, three, sid } = await moving()
    await using _servers = servers
    await using changing = new Changing(() => two)
    const { store } = changing
    await store.set(sid, counting(1))
    await changing.become(three)
    await changing.become(servers.first(1))
    await changing.become(three)
    await store.destroy(sid)
    for (const list of [servers.first(1), two]) {
      await changing.become(list)
      expect(await store.get(sid)).toBeNull()
    }
  })

  test('a save of a session that has moved since it was read is dropped, and so is what was left of it', async () => {
    const { servers, two, three, sid } = await moving()
    await using _servers = servers
    await using changing = new Changing(() => two)
    const { store } = changing
    const conflicts: unknown[] = []
    store.on('conflict', (_sid, { outcome }) => conflicts.push(outcome))
    await store.set(sid, counting(1))
    const read = await store.get(sid)
    if (read === null) throw new Error('lost')
    await changing.become(three)
    await store.set(sid, Object.assign(read, { n: 2 }))
    expect(await store.get(sid)).toBeNull()
    await changing.become(two)
    expect(await store.get(sid)).toBeNull()
    expect(conflicts).toEqual(['destroyed'])
  })
})

describe.skipIf(!hasMemcached)('one process sees a change before another', () => {
  test('what the late one has logged out stays so', async () => {
    await using servers = await Fleet.start(3)
    const [two, three] = [servers.first(2), servers.first(3)]
    const sid = movedBetween(two, three, SIDS)[0] as string
    await using early = new Changing(() => two)
    await using late = new Changing(() => two, { refresh: 5 })
    await late.store.set(sid, counting(1))
    await early.become(three)
    // As a backing store would bring it there.
    await early.store.set(sid, counting(1))
    await late.store.destroy(sid)
    expect(countOf(await early.store.get(sid))).toBe(1)
    await late.become(three)
    await until(async () => (await early.store.get(sid)) === null)
    expect(await late.store.get(sid)).toBeNull()
  })

  test('what the late one has stored is not hidden by something older', async () => {
    await using servers = await Fleet.start(3)
    const [two, three] = [servers.first(2), servers.first(3)]
    const sid = movedBetween(two, three, SIDS)[0] as string
    await using early = new Changing(() => two)
    await using late = new Changing(() => two, { refresh: 5 })
    await early.become(three)
    await early.store.set(sid, counting(1))
    await late.store.set(sid, counting(2))
    await late.become(three)
    await until(async () => (await early.store.get(sid)) === null)
    expect(await late.store.get(sid)).toBeNull()
  })
})

describe.skipIf(!hasMemcached)('with a backing store', () => {
  test('the sessions that move follow, with their last state, there and back', async () => {
    await using servers = await Fleet.start(4)
    const lists = [servers.first(3), servers.first(4), servers.first(3), servers.first(2), servers.first(4)]
    const backing = new MemoryStore()
    await using one = new Changing(() => lists[0], { backing })
    await using other = new Changing(() => lists[0], { backing })
    await fill(one.store)
    const gone = new Set<string>()
    let turn = 0
    for (const list of lists.slice(1)) {
      await Promise.all([one.become(list as string[]), other.become(list as string[])])
      turn++
      await Promise.all(
        SIDS.map(async (sid, number) => {
          const { store } = number % 2 === turn % 2 ? one : other
          if (gone.has(sid)) expect(await store.get(sid), sid).toBeNull()
          else await store.update(sid, session => counting((countOf(session) as number) + 1000))
        }),
      )
      for (const sid of SIDS.filter((_, number) => number % 10 === turn)) {
        await one.store.destroy(sid)
        gone.add(sid)
      }
      const found = await other.store.getMany(SIDS)
      expect(SIDS.filter(sid => found.has(sid) === gone.has(sid))).toEqual([])
      for (const [sid, session] of found) {
        expect(countOf(session)).toBe(SIDS.indexOf(sid) + 1000 * turn)
      }
    }
  })
})

/** Some servers. */
class Fleet implements AsyncDisposable {
  readonly all: readonly Memcached[]

  private constructor(all: readonly Memcached[]) {
    this.all = all
  }

  static async start(count: number): Promise<Fleet> {
    return new Fleet(await Promise.all(Array.from({ length: count }, () => Memcached.start())))
  }

  first(count: number): string[] {
    return this.all.slice(0, count).map(({ address }) => address)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map(one => one.kill()))
  }
}
