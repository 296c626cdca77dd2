import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { Keys } from '../../lib/storage/keys.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { OPCODE } from '../support/frames.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { programOf } from '../support/programs.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const prefix = `left-behind-${randomUUID()}:`
const sid = 'a-session'
const key = new Keys(prefix).ofLock(sid)

function create(servers: string | string[], options: MemcachedStoreOptions = {}): MemcachedStore {
  const store = new MemcachedStore({ servers, prefix, timeout: 250, ...options })
  onTestFinished(() => store.close())
  return store
}

/** A store behind a proxy of its own, connected. */
async function connected(): Promise<{ store: MemcachedStore; proxy: TcpProxy; raw: RawMemcached }> {
  const proxy = await TcpProxy.start(memcached)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  const store = create(proxy.address)
  await store.get('warm')
  const raw = new RawMemcached(memcached)
  await raw.delete(key)
  return { store, proxy, raw }
}

/** Takes the lock and keeps it; gives the outcome, and the way to let go. */
async function hold(
  store: MemcachedStore,
): Promise<{ done: Promise<unknown>; end: () => void; signal: AbortSignal }> {
  return new Promise((resolve, reject) => {
    const done = store
      .withLock(sid, lock => new Promise<void>(end => resolve({ done, end, signal: lock.signal })))
      .catch((error: unknown) => {
        reject(error)
        return error
      })
  })
}

describe.skipIf(memcached === undefined)('no lock stays behind', () => {
  test('when the request for it was carried out and timed out', async () => {
    const { store, proxy, raw } = await connected()
    proxy.swallow()
    const refused = store.withLock(sid, () => expect.unreachable())
    await expect(refused).rejects.toMatchObject({ status: 503 })
    expect(await raw.get(key)).not.toBeNull()
    await proxy.pass()
    await until(async () => (await raw.get(key)) === null)
    expect(await store.withLock(sid, () => 'mine', { wait: 0 })).toBe('mine')
  })

  test('when its connection broke, and nobody could be asked what became of it', async () => {
    const { store, proxy, raw } = await connected()
    proxy.tamper(reply => {
      // The reply is lost with its connection, and the next one stays silent.
      proxy.swallow()
      proxy.cutNow('fin')
      return reply
    })
    await expect(store.withLock(sid, () => expect.unreachable())).rejects.toMatchObject({ status: 503 })
    expect(await raw.get(key)).not.toBeNull()
    await proxy.pass()
    await until(async () => (await raw.get(key)) === null)
  })

  test('when the request to free it timed out and was not carried out', async () => {
    const { store, proxy, raw } = await connected()
    await store.withLock(sid, () => proxy.silence())
    expect(await raw.get(key)).not.toBeNull()
    proxy.cutNow('fin')
    await proxy.pass()
    await until(async () => (await raw.get(key)) === null)
  })

  test('but somebody else’s stays', async () => {
    const { store, proxy, raw } = await connected()
    proxy.swallow()
    await expect(store.withLock(sid, () => expect.unreachable())).rejects.toMatchObject({ status: 503 })
    await raw.delete(key)
    const other = await hold(create(memcached))
    const token = (await raw.get(key))?.value
    proxy.requests.clear()
    await proxy.pass()
    await until(() => proxy.count(OPCODE.get) >= 2)
    expect((await raw.get(key))?.value).toBe(token)
    other.end()
    await other.done
    expect(other.signal.aborted).toBe(false)
  })
})

describe.skipIf(memcached === undefined)('a store that closes', () => {
  test('frees the locks that it holds, and tells their holders', async () => {
    const { store, raw } = await connected()
    const conflicts: unknown[] = []
    store.on('conflict', (...args) => conflicts.push(args))
    const held = await hold(store)
    const waiting = store.withLock(sid, () => expect.unreachable())
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await store.close()
    await outcome
    expect(await raw.get(key)).toBeNull()
    expect(held.signal.reason).toMatchObject({ code: 'ERR_CLOSED' })
    expect(await create(memcached).withLock(sid, () => 'mine', { wait: 0 })).toBe('mine')
    held.end()
    expect(await held.done).toMatchObject({ code: 'ERR_CLOSED' })
    expect(conflicts).toEqual([])
  })

  test('frees a lock that it was about to get', async () => {
    const { store, proxy, raw } = await connected()
    const added = proxy.holdFrom(OPCODE.add)
    const refused = store.withLock(sid, () => expect.unreachable())
    const outcome = expect(refused).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await added
    const closed = store.close()
    await proxy.pass()
    await closed
    expect(await raw.get(key)).toBeNull()
    await outcome
  })

  test('leaves somebody else’s alone', async () => {
    const { store, raw } = await connected()
    const held = await hold(store)
    await raw.delete(key)
    const other = await hold(create(memcached))
    await store.close()
    expect(await raw.get(key)).not.toBeNull()
    for (const one of [held, other]) one.end()
    expect(await held.done).toMatchObject({ code: 'ERR_CLOSED' })
    expect(await other.done).toBeUndefined()
  })

  test('ends in time while its server is frozen', async () => {
    const server = await Memcached.start()
    const store = create(server.address)
    const held = await hold(store)
    server.freeze()
    await store.close()
    expect(held.signal.aborted).toBe(true)
    held.end()
    await held.done
    await server.kill()
  })
})

test.skipIf(memcached === undefined)('a process that slept while it got a lock looks again', async () => {
  const { store, proxy, raw } = await connected()
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const added = proxy.holdFrom(OPCODE.add)
  const refused = store.withLock(sid, () => expect.unreachable(), { lease: 2, wait: 0 })
  const outcome = expect(refused).rejects.toMatchObject({ status: 503 })
  await added
  // Its lease ends, and somebody else comes.
  vi.advanceTimersByTime(2000)
  await raw.set(key, 'somebody else')
  await proxy.pass()
  await outcome
  expect((await raw.get(key))?.value).toBe('somebody else')
})

test.skipIf(memcached === undefined)(
  'a process that slept through its lease knows when it wakes',
  async () => {
    const raw = new RawMemcached(memcached)
    await raw.delete(key)
    const file = programOf(new URL('sleeper.child.ts', import.meta.url))
    const sleeper = fork(file, [memcached, prefix, sid])
    onTestFinished(() => void sleeper.kill('SIGKILL'))
    await once(sleeper, 'message')
    sleeper.kill('SIGSTOP')
    await until(async () => (await raw.get(key)) === null)
    const next = await hold(create(memcached))
    const token = (await raw.get(key))?.value
    const answered = once(sleeper, 'message')
    sleeper.kill('SIGCONT')
    sleeper.send('end')
    expect(await answered).toEqual(['ERR_CONFLICT', undefined])
    expect((await raw.get(key))?.value).toBe(token)
    next.end()
    await next.done
    expect(next.signal.aborted).toBe(false)
  },
)

test.skipIf(!hasMemcached)(
  'with one of three servers dead, every session on the others can be locked',
  async () => {
    const servers = await Promise.all([1, 2, 3].map(() => Memcached.start()))
    onTestFinished(async () => {
      await Promise.all(servers.map(server => server.kill()))
    })
    const store = create(servers.map(({ address }) => address))
    await servers[0]?.kill()
    const sids = Array.from({ length: 200 }, (_, at) => `session-${at}`)
    const reached = await Promise.allSettled(sids.map(one => store.get(one)))
    const living = sids.filter((_, at) => reached[at]?.status === 'fulfilled')
    expect(living.length).toBeGreaterThan(50)
    expect(living.length).toBeLessThan(200)
    for (const one of living) expect(await store.withLock(one, () => 'locked')).toBe('locked')
  },
)
