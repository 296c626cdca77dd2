import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type LockOptions, MemcachedStore, MemcachedStoreError } from '../../lib/index.ts'
import { Keys } from '../../lib/storage/keys.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { OPCODE } from '../support/frames.ts'
import { Memcached } from '../support/memcached.ts'
import { programOf } from '../support/programs.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const prefix = `with-lock-${randomUUID()}:`

/** Something to wait for, and to let go. */
class Latch {
  open!: () => void
  readonly opened: Promise<void> = new Promise(resolve => {
    this.open = resolve
  })
}

describe.skipIf(memcached === undefined)('withLock', () => {
  let raw: RawMemcached
  let store: MemcachedStore
  let elsewhere: MemcachedStore
  beforeAll(() => {
    raw = new RawMemcached(memcached)
    store = new MemcachedStore({ servers: memcached, prefix })
    elsewhere = new MemcachedStore({ servers: memcached, prefix })
  })
  afterAll(() => Promise.all([store.close(), elsewhere.close()]))

  const keyOf = (sid: string): string => new Keys(prefix).ofLock(sid)
  const heldBy = async (sid: string): Promise<string | undefined> => (await raw.get(keyOf(sid)))?.value

  /** Holds a lock until it is let go. */
  async function hold(
    sid: string,
    by: MemcachedStore = store,
    options?: LockOptions,
  ): Promise<{ signal: AbortSignal; end: () => Promise<void> }> {
    const inside = new Latch()
    const leave = new Latch()
    let signal!: AbortSignal
    const done = by.withLock(
      sid,
      async lock => {
        signal = lock.signal
        inside.open()
        await leave.opened
      },
      options,
    )
    await Promise.race([inside.opened, done])
    return {
      signal,
      end() {
        leave.open()
        return done
      },
    }
  }

  test('gives what its task gives, and leaves no lock', async () => {
    expect(await store.withLock('a', () => 1)).toBe(1)
    expect(await store.withLock('a', async () => 'two')).toBe('two')
    expect(await heldBy('a')).toBeUndefined()
  })

  test('throws what its task throws, and leaves no lock', async () => {
    const failure = new Error('task')
    const task = (): never => {
      throw failure
    }
    await expect(store.withLock('b', task)).rejects.toBe(failure)
    expect(await heldBy('b')).toBeUndefined()
  })

  test('lets 100 tasks of two stores in one at a time', async () => {
    let inside = 0
    let most = 0
    let count = 0
    const task = async (): Promise<void> => {
      most = Math.max(most, ++inside)
      const before = count
      await nextTurn()
      count = before + 1
      inside--
    }
    const stores = [store, elsewhere]
    await Promise.all(
      Array.from({ length: 100 }, (_, at) => (stores[at % 2] as MemcachedStore).withLock('c', task)),
    )
    expect({ most, count }).toEqual({ most: 1, count: 100 })
  })

  test('lets the tasks of one process in in the order in which they came', async () => {
    const order: number[] = []
    const numbers = Array.from({ length: 50 }, (_, at) => at)
    await Promise.all(numbers.map(at => store.withLock('d', () => void order.push(at))))
    expect(order).toEqual(numbers)
  })

  test('does not hinder tasks of other sessions', async () => {
    const held = await hold('e')
    expect(await store.withLock('other', () => 1)).toBe(1)
    await held.end()
  })

  test.each([
    ['this process', () => store],
    ['another', () => elsewhere],
  ])('fails when the lock is not free in time: held by %s', async (_, by) => {
    const held = await hold('f', by())
    for (const wait of [0, 0.1]) {
      const ran = await store.withLock('f', () => 'ran', { wait }).catch((error: unknown) => error)
      expect(ran).toBeInstanceOf(MemcachedStoreError)
      expect(ran).toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
    }
    await held.end()
    // Who gave up is in nobody's way.
    expect(await store.withLock('f', () => 'ran', { wait: 0 })).toBe('ran')
  })

  test('keeps the lock for longer than its lease', async () => {
    // Long enough for a machine that stands still for seconds: a lock that is lost meanwhile is another test.
    const held = await hold('g', store, { lease: 6 })
    const token = await heldBy('g')
    const first = (await raw.expiration(keyOf('g'))) as number
    await until(async () => ((await raw.expiration(keyOf('g'))) as number) > first + 1)
    expect(await heldBy('g')).toBe(token)
    await expect(elsewhere.withLock('g', () => {}, { wait: 0 })).rejects.toThrow(MemcachedStoreError)
    expect(held.signal.aborted).toBe(false)
    await held.end()
  })

  test('notices a lock that is gone while it is held', async () => {
    const told: unknown[] = []
    store.once('conflict', (...args) => told.push(args))
    const held = await hold('h', store, { lease: 2 })
    await raw.delete(keyOf('h'))
    await until(() => held.signal.aborted)
    expect(held.signal.reason).toMatchObject({ code: 'ERR_CONFLICT', status: 409 })
    expect(told).toEqual([['h', { outcome: 'lease-lost' }]])
    await expect(held.end()).rejects.toBe(held.signal.reason)
  })

  test('notices it at the end at the latest', async () => {
    const held = await hold('i')
    await raw.delete(keyOf('i'))
    await expect(held.end()).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect(held.signal.aborted).toBe(true)
  })

  test('leaves the next holder’s lock alone', async () => {
    const first = await hold('j', store, { lease: 2 })
    await raw.delete(keyOf('j'))
    const second = await hold('j', elsewhere)
    const token = await heldBy('j')
    await until(() => first.signal.aborted)
    await expect(first.end()).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect(await heldBy('j')).toBe(token)
    await second.end()
    expect(second.signal.aborted).toBe(false)
  })

  test('leaves it alone too where it had not noticed before', async () => {
    const first = await hold('k')
    await raw.delete(keyOf('k'))
    const second = await hold('k', elsewhere)
    const token = await heldBy('k')
    await expect(first.end()).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect(await heldBy('k')).toBe(token)
    await second.end()
  })

  test('is free again within the lease after kill -9', async () => {
    const file = programOf(new URL('holder.child.ts', import.meta.url))
    const holder = fork(file, [memcached, prefix, 'l'])
    await once(holder, 'message')
    await expect(store.withLock('l', () => {}, { wait: 0 })).rejects.toThrow(MemcachedStoreError)
    const gone = once(holder, 'exit')
    holder.kill('SIGKILL')
    await gone
    const killed = performance.now()
    await store.withLock('l', () => {}, { wait: 10 })
    // The holder's lease is 3 s; memcached looks at its clock once a second.
    expect(performance.now() - killed).toBeLessThan(3000 + 500)
  })

  test.each([
    [{ wait: -1 }, 'Expected `wait` to be a number of seconds from 0 to 2147483, got `-1` (number)'],
    [{ wait: Number.NaN }, 'Expected `wait` to be a number of seconds from 0 to 2147483, got `NaN` (number)'],
    [{ lease: 0 }, 'Expected `lease` to be a number of seconds from 1 to 2592000, got `0` (number)'],
    [{ lease: '30' }, "Expected `lease` to be a number of seconds from 1 to 2592000, got `'30'` (string)"],
  ])('refuses %j', async (options, message) => {
    const failure = new TypeError(message)
    await expect(store.withLock('m', () => {}, options as LockOptions)).rejects.toThrow(failure)
    expect(() => store.exclusive(options as LockOptions)).toThrow(failure)
  })
})

describe.skipIf(memcached === undefined)('a lock amid faults', () => {
  let proxy: TcpProxy
  let store: MemcachedStore
  let raw: RawMemcached
  beforeAll(async () => {
    raw = new RawMemcached(memcached)
    proxy = await TcpProxy.start(memcached)
    store = new MemcachedStore({ servers: proxy.address, prefix, timeout: 250 })
    await store.get('warm')
  })
  afterAll(async () => {
    await store.close()
    await proxy[Symbol.asyncDispose]()
  })

  const keyOf = (sid: string): string => new Keys(prefix).ofLock(sid)

  test('is ours although the reply that said so was lost', async () => {
    proxy.loseNextReply('fin')
    expect(await store.withLock('added', () => raw.get(keyOf('added')))).not.toBeNull()
    expect(await raw.get(keyOf('added'))).toBeNull()
  })

  test('is freed although the reply that said so was lost', async () => {
    const result = await store.withLock('freed', () => {
      proxy.loseNextReply('fin')
      return 1
    })
    expect(result).toBe(1)
    expect(await raw.get(keyOf('freed'))).toBeNull()
  })

  test('is freed although its connection was replaced while it was held', async () => {
    const result = await store.withLock('replaced', async () => {
      proxy.cutNow('fin')
      await until(() =>
        store.get('warm').then(
          () => true,
          () => false,
        ),
      )
      return 1
    })
    expect(result).toBe(1)
    expect(await raw.get(keyOf('replaced'))).toBeNull()
  })

  test('is freed although the request that was to free it was lost', async () => {
    let isHeld = false
    const done = store.withLock('lost', () => {
      proxy.silence()
      // What comes from here on is not the request that took the lock.
      proxy.requests.clear()
      isHeld = true
      return 1
    })
    await until(() => isHeld && proxy.count() > 0)
    proxy.cutNow('fin')
    await proxy.pass()
    expect(await done).toBe(1)
    await until(async () => (await raw.get(keyOf('lost'))) === null)
  })

  test('stays ours although the reply to a renewal was lost', async () => {
    await store.withLock(
      'renewed',
      async ({ signal }) => {
        proxy.loseNextReply('fin')
        proxy.requests.clear()
        await until(() => proxy.count(OPCODE.replace) >= 3)
        expect(signal.aborted).toBe(false)
      },
      { lease: 2 },
    )
    expect(await raw.get(keyOf('renewed'))).toBeNull()
  })

  test('is given up for lost while memcached cannot be reached, before somebody else can have it', async () => {
    await using server = await Memcached.start()
    await using own = new MemcachedStore({ servers: server.address, timeout: 250 })
    let lostAfter = Infinity
    const done = own.withLock(
      'a',
      async ({ signal }) => {
        const since = performance.now()
        server.freeze()
        await until(() => signal.aborted)
        lostAfter = performance.now() - since
      },
      { lease: 3 },
    )
    await expect(done).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    // What is set for 3 s is there for 2 at least.
    expect(lostAfter).toBeLessThan(2000 + 250 + 100)
    server.thaw()
  })

  test('fails at once where memcached is gone', async () => {
    const server = await Memcached.start()
    await using own = new MemcachedStore({ servers: server.address, timeout: 250 })
    await server.kill()
    await expect(own.withLock('a', () => {})).rejects.toMatchObject({ status: 503 })
  })
})
