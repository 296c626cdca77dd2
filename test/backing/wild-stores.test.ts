import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { MemoryStore, type SessionData } from 'express-session'
import { describe, expect, test } from 'vitest'
import { BackingStore } from '../../lib/backing/backing-store.ts'
import { sessionOf } from '../contract/calls.ts'

type Callback = (error?: unknown, value?: unknown) => void

const TIMEOUT = 60_000

function create(methods: Partial<Record<string, unknown>>, timeout = TIMEOUT) {
  const counts = { refills: 0, backingWrites: 0, backingFailures: 0 }
  const store = Object.assign(new EventEmitter(), {
    get() {},
    set() {},
    destroy() {},
    ...methods,
  })
  return { counts, backing: new BackingStore(store as never, timeout, counts) }
}

const found = sessionOf({ user: 'ada' })
const ignore = (): void => {}
const failure = new Error('out of order')

describe('a session is found in a store that', () => {
  test.each<[string, object]>([
    ['calls back at once', { get: (_: string, done: Callback) => done(null, found) }],
    ['calls back later', { get: (_: string, done: Callback) => setImmediate(done, null, found) }],
    [
      'calls back twice',
      {
        get(_: string, done: Callback) {
          done(null, found)
          done(failure)
        },
      },
    ],
    [
      'throws when it has called back',
      {
        get(_: string, done: Callback) {
          done(null, found)
          throw failure
        },
      },
    ],
    ['returns a promise in place of a callback', { get: async (_: string) => found }],
    [
      'is async and calls back',
      {
        async get(_: string, done: Callback) {
          done(null, found)
        },
      },
    ],
    [
      'is async, ends, and calls back later',
      {
        async get(_: string, done: Callback) {
          setImmediate(done, null, found)
        },
      },
    ],
    [
      'uses `this`',
      {
        kept: found,
        get(this: { kept: SessionData }, _: string, done: Callback) {
          done(null, this.kept)
        },
      },
    ],
  ])('%s', async (_, methods) => {
    expect(await create(methods).backing.get('a')).toBe(found)
  })
})

test.each<[string, object]>([
  ['null', { get: (_: string, done: Callback) => done(null, null) }],
  ['nothing', { get: (_: string, done: Callback) => done() }],
  ['a promise of nothing', { get: async (_: string) => undefined }],
  [
    'an error with the code ENOENT',
    { get: (_: string, done: Callback) => done(Object.assign(new Error(), { code: 'ENOENT' })) },
  ],
])('there is none in a store that gives %s', async (_, methods) => {
  expect(await create(methods).backing.get('a')).toBeNull()
})

describe('a call fails with status 503 where the store', () => {
  test.each<[string, object]>([
    ['gives an error', { set: (_: string, __: object, done: Callback) => done(failure) }],
    [
      'throws',
      {
        set() {
          throw failure
        },
      },
    ],
    ['rejects', { set: async () => Promise.reject(failure) }],
    [
      'rejects, and takes a callback',
      { set: async (_: string, __: object, _done: Callback) => Promise.reject(failure) },
    ],
  ])('%s', async (_, methods) => {
    const { backing, counts } = create(methods)
    await expect(backing.set('a', found, ignore)).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
      status: 503,
      cause: failure,
    })
    expect(counts).toMatchObject({ backingFailures: 1, backingWrites: 0 })
  })

  test('never calls back; and it is told where it does so in the end', async () => {
    let late: Callback = ignore
    const set = (_: string, __: object, done: Callback): void => {
      late = done
    }
    const { backing } = create({ set }, 1)
    const told: string[] = []
    const call = backing.set('a', found, () => told.push('late'))
    await expect(call).rejects.toMatchObject({ code: 'ERR_TIMEOUT', status: 503 })
    expect(told).toEqual([])
    late()
    late()
    expect(told).toEqual(['late'])
  })
})

test('a store without `touch` is told to set', async () => {
  const calls: unknown[] = []
  const set = (sid: string, _: object, done: Callback): void => {
    calls.push(sid)
    done()
  }
  await create({ set }).backing.touch('a', found, ignore)
  expect(calls).toEqual(['a'])
})

test('tells what a store can', () => {
  const { backing } = create({ all() {} })
  expect([backing.can('all'), backing.can('clear')]).toEqual([true, false])
  expect(new BackingStore(new MemoryStore(), TIMEOUT, create({}).counts).can('length')).toBe(true)
})

test('the store is called, and answers, in the async context of the caller', async () => {
  const context = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const waiting: Callback[] = []
  const { backing } = create({
    get(_: string, done: Callback) {
      seen.push(context.getStore())
      waiting.push(done)
    },
  })
  const both = ['ada', 'bob'].map(name =>
    context.run(name, async () => {
      await backing.get('a')
      return context.getStore()
    }),
  )
  for (const done of waiting) done(null, found)
  expect(seen).toEqual(['ada', 'bob'])
  expect(await Promise.all(both)).toEqual(['ada', 'bob'])
})
