import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { Keys } from '../../lib/storage/keys.ts'
import { RawMemcached } from '../contract/raw-memcached.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { programOf } from '../support/programs.ts'
import { until } from '../support/until.ts'
import { Browser } from './browser.ts'
import { LockingApp, type LockingAppOptions } from './locking-app.ts'

const COUNT = fewOrMany(60, 200)
const memcached = inject('memcached')?.split(',')[0] as string

describe.skipIf(memcached === undefined)(`${COUNT} overlapping requests that count`, () => {
  const file = programOf(new URL('app.child.ts', import.meta.url))

  test.each([
    ['', {}],
    [', with `resave` and `rolling`', { resave: true, rolling: true, cookie: { maxAge: 60_000 } }],
  ])(`count to exactly ${COUNT} in two processes%s`, async (_, session) => {
    const options: LockingAppOptions = {
      // Whether the count is exact is asked, not how soon: a busy machine gets time.
      store: { servers: memcached, prefix: `exclusive-${randomUUID()}:`, timeout: 5000 },
      session,
    }
    const children = [0, 1].map(() => fork(file, [JSON.stringify(options)]))
    try {
      const urls = await Promise.all(children.map(async child => String((await once(child, 'message'))[0])))
      for (const [path, isExact] of [
        ['/exclusive/views', true],
        ['/views', false],
      ] as const) {
        const browser = new Browser()
        await browser.open(`${urls[0]}/set/a/1`)
        const pages = await Promise.all(
          Array.from({ length: COUNT }, (_, at) => browser.open(urls[at % 2] + path)),
        )
        expect(pages.filter(({ status }) => status !== 200)).toEqual([])
        const { json } = await browser.open(`${urls[1]}/set/b/1`)
        if (isExact) {
          expect(json.views).toBe(COUNT)
          const seen = pages.map(page => page.json.views as number).sort((a, b) => a - b)
          expect(seen).toEqual(Array.from({ length: COUNT }, (_, at) => at + 1))
        } else {
          // Without it they do overlap.
          expect(json.views).toBeLessThan(COUNT)
        }
      }
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  })
})

describe.skipIf(memcached === undefined)('exclusive', () => {
  let app: LockingApp
  let browser: Browser
  let prefix: string
  const raw = new RawMemcached(memcached ?? '')
  beforeEach(async () => {
    prefix = `exclusive-${randomUUID()}:`
    app = await start()
    browser = new Browser()
  })
  afterEach(() => app[Symbol.asyncDispose]())

  function start(more: Partial<LockingAppOptions> = {}): Promise<LockingApp> {
    return LockingApp.start({ store: { servers: memcached, prefix }, ...more })
  }

  const open = (path: string, by = app): ReturnType<Browser['open']> => browser.open(by.url + path)
  const lockKey = (): string => new Keys(prefix).ofLock(browser.sid)
  const isLocked = async (): Promise<boolean> => (await raw.get(lockKey())) !== null
  const loaded = (path: string, by = app): Promise<unknown> => until(() => by.loaded.includes(path))
  const inside = (count: number): Promise<unknown> => until(() => app.gate.waiting === count)

  test('lets 50 that wait in, in their order', async () => {
    await open('/set/a/1')
    const first = open('/exclusive/gate')
    await inside(1)
    const numbers = Array.from({ length: 50 }, (_, at) => at + 1)
    const paths = numbers.map(number => `/exclusive/views?${number}`)
    const pages = paths.map(async path => [path, (await open(path)).json.views] as const)
    await Promise.all(paths.map(path => loaded(path)))
    app.gate.open()
    expect((await first).status).toBe(200)
    const views = new Map(await Promise.all(pages))
    const inOrder = app.loaded.filter(path => views.has(path))
    expect(inOrder.map(path => views.get(path))).toEqual(numbers)
    await until(async () => !(await isLocked()))
  })

  test('shows what the one before it has saved, although it was loaded before that', async () => {
    await using other = await start()
    await open('/set/a/1')
    const first = open('/exclusive/gate/set/b/2')
    await inside(1)
    const second = open('/exclusive/set/c/3', other)
    await loaded('/exclusive/set/c/3', other)
    app.gate.open()
    await first
    expect((await second).json).toEqual({ a: '1', b: '2', c: '3' })
  })

  test('saves a value that is set back to what the request loaded first', async () => {
    await open('/set/code/unused')
    const first = open('/exclusive/gate/set/code/used')
    await inside(1)
    const second = open('/exclusive/set/code/unused')
    await loaded('/exclusive/set/code/unused')
    app.gate.open()
    await Promise.all([first, second])
    expect((await open('/set/x/1')).json.code).toBe('unused')
  })

  test('keeps what the request has changed before it', async () => {
    await open('/set/a/1')
    const first = open('/edited/exclusive')
    await inside(1)
    app.gate.open()
    await first
    expect((await open('/set/b/1')).json).toEqual({ a: '1', b: '1', edited: true })
  })

  test('answers 503 with Retry-After when the lock was not free in time', async () => {
    await using impatient = await start({ lock: { wait: 0.2 } })
    await open('/set/a/1')
    const first = open('/exclusive/gate')
    await inside(1)
    const page = await open('/exclusive/views', impatient)
    expect(page.status).toBe(503)
    expect(page.headers['retry-after']).toBe('1')
    expect(page.json).toEqual({ code: 'ERR_UNAVAILABLE' })
    app.gate.open()
    expect((await first).status).toBe(200)
    expect((await open('/exclusive/views', impatient)).json.views).toBe(1)
  })

  test.each([
    ['an error', '/exclusive/throw'],
    ['a logout', '/exclusive/logout'],
    ['a new session id', '/exclusive/regenerate'],
    ['a streamed response', '/exclusive/stream'],
    ['two locks in one', '/twice/exclusive'],
  ])('frees the lock after %s', async (_, path) => {
    await open('/set/a/1')
    const key = lockKey()
    await open(path)
    await until(async () => (await raw.get(key)) === null)
  })

  test('takes a visitor without a session', async () => {
    expect((await open('/exclusive/views')).json.views).toBe(1)
    expect((await open('/exclusive/views')).json.views).toBe(2)
  })

  test('answers 503 where there is no session to lock', async () => {
    const page = await open('/no-session')
    expect([page.status, page.json]).toEqual([503, { code: 'ERR_UNAVAILABLE' }])
  })

  test('answers 409 where the session was destroyed while the request waited', async () => {
    await open('/set/a/1')
    const first = open('/exclusive/gate')
    await inside(1)
    const waiting = [open('/exclusive/views?1'), open('/exclusive/views?2')]
    await Promise.all([loaded('/exclusive/views?1'), loaded('/exclusive/views?2')])
    await app.store.destroy(browser.sid)
    app.gate.open()
    await first
    for (const page of waiting) {
      expect([(await page).status, (await page).json]).toEqual([409, { code: 'ERR_CONFLICT' }])
    }
    expect(await app.store.get(browser.sid)).toBeNull()
    await until(async () => !(await isLocked()))
  })

  test('keeps the lock for a request whose client has gone, until it ends', async () => {
    await using other = await start({ lock: { wait: 0.2 } })
    await open('/set/a/1')
    const first = open('/exclusive/gate/set/b/2').catch(() => 'aborted')
    await inside(1)
    browser.request.destroy()
    expect(await first).toBe('aborted')
    expect((await open('/exclusive/views', other)).status).toBe(503)
    const second = open('/exclusive/views')
    app.gate.open()
    expect((await second).json).toEqual({ a: '1', b: '2', views: 1 })
  })

  test('frees the lock of a request whose client has gone and that does not end, after one lease', async () => {
    await using own = await start({ lock: { lease: 1 } })
    await open('/set/a/1')
    const conflicts: string[] = []
    own.store.on('conflict', (_sid, { outcome }) => conflicts.push(outcome))
    const first = open('/exclusive/never', own).catch(() => 'aborted')
    await until(() => own.gate.waiting === 1)
    browser.request.destroy()
    await first
    expect((await open('/exclusive/views', own)).status).toBe(200)
    expect(own.signals[0]?.aborted).toBe(true)
    expect(conflicts).toEqual(['lease-lost'])
  })

  test('does not let a request in whose client has gone meanwhile', async () => {
    await open('/set/a/1')
    const first = open('/exclusive/gate')
    await inside(1)
    const second = open('/exclusive/gate?gone').catch(() => 'aborted')
    const gone = browser.request
    await loaded('/exclusive/gate?gone')
    const third = open('/exclusive/gate?third')
    await loaded('/exclusive/gate?third')
    gone.destroy()
    expect(await second).toBe('aborted')
    app.gate.open()
    await first
    await inside(1)
    expect(app.signals).toHaveLength(2)
    app.gate.open()
    expect((await third).status).toBe(200)
  })

  test('tells the request when its lock was lost, and leaves the next one’s alone', async () => {
    await using short = await start({ lock: { lease: 2 } })
    await using other = await start()
    await open('/set/a/1')
    const conflicts: unknown[] = []
    short.store.on('conflict', (...args) => conflicts.push(args))
    const first = open('/exclusive/gate', short)
    await until(() => short.gate.waiting === 1)
    expect(short.signals[0]?.aborted).toBe(false)
    await raw.delete(lockKey())
    const second = open('/exclusive/gate', other)
    await until(() => other.gate.waiting === 1 && short.signals[0]?.aborted)
    expect(conflicts).toEqual([[browser.sid, { outcome: 'lease-lost' }]])
    short.gate.open()
    await first
    expect(await isLocked()).toBe(true)
    expect(other.signals[0]?.aborted).toBe(false)
    other.gate.open()
    await second
    await until(async () => !(await isLocked()))
  })

  test('does not let a request in whose lock was lost before it could begin', async () => {
    await using short = await start({ lock: { lease: 2 } })
    await open('/set/a/1')
    const { store } = short
    const isLost = once(store, 'conflict')
    const get = store.get.bind(store) as (sid: string, done: () => void) => void
    let reads = 0
    const slow = async (sid: string, done: () => void): Promise<void> => {
      // The second one is of the request that has the lock, and reads what the one before it has saved.
      if (++reads === 2) {
        await raw.delete(lockKey())
        await isLost
      }
      get(sid, done)
    }
    Object.assign(store, { get: slow })
    expect(await open('/exclusive/gate', short)).toMatchObject({
      status: 409,
      json: { code: 'ERR_CONFLICT' },
    })
    expect(short.signals).toEqual([])
  })
})
