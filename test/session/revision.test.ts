import { setImmediate as turn } from 'node:timers/promises'
import { inspect, isDeepStrictEqual } from 'node:util'
import v8 from 'node:v8'
import vm from 'node:vm'
import type { SessionData } from 'express-session'
import { describe, expect, test } from 'vitest'
import { attachRevision, passRevision, Revision, revisionOf } from '../../lib/session/revision.ts'
import { SessionRecord } from '../../lib/storage/record.ts'

type Cookie = SessionData['cookie']

const store = {}
const record = new SessionRecord('stored', '{"cookie":{}}', null)
const revision = (sid = 'a'): Revision => new Revision(store, sid, record, 0)
const session = (): Record<string, unknown> => ({ cookie: { path: '/' }, user: 'Ada' })

test('is found again under its id, and under no other', () => {
  const one = session()
  const read = revision()
  attachRevision(one, read)
  expect(revisionOf(one, store, 'a')).toBe(read)
  expect(revisionOf(one, store, 'b')).toBeUndefined()
  expect(revisionOf(session(), store, 'a')).toBeUndefined()
})

test('is none to another store', () => {
  const one = session()
  attachRevision(one, revision())
  expect(revisionOf(one, {}, 'a')).toBeUndefined()
})

test('can be replaced and removed', () => {
  const one = session()
  const second = revision()
  attachRevision(one, revision())
  attachRevision(one, second)
  expect(revisionOf(one, store, 'a')).toBe(second)
  attachRevision(one, undefined)
  expect(revisionOf(one, store, 'a')).toBeUndefined()
})

describe('nobody sees it', () => {
  const bare = session()
  const stamped = session()
  attachRevision(stamped, revision())

  test.each<[string, (object: object) => unknown]>([
    ['JSON', object => JSON.stringify(object)],
    ['Object.keys', object => Object.keys(object)],
    ['Object.getOwnPropertyNames', object => Object.getOwnPropertyNames(object)],
    ['Object.getOwnPropertySymbols', object => Object.getOwnPropertySymbols(object)],
    ['Reflect.ownKeys', object => Reflect.ownKeys(object)],
    ['Object.getPrototypeOf', object => Object.getPrototypeOf(object)],
    ['util.inspect with all it shows', object => inspect(object, { showHidden: true, depth: 9 })],
    ['a spread', object => ({ ...object })],
    ['structuredClone', object => structuredClone(object)],
    ['v8.serialize', object => v8.serialize(object)],
    [
      'for in',
      object => {
        const keys: string[] = []
        for (const key in object) keys.push(key)
        return keys
      },
    ],
  ])('%s', (_, see) => {
    expect(see(stamped)).toEqual(see(bare))
  })

  test('isDeepStrictEqual', () => {
    expect(isDeepStrictEqual(stamped, bare)).toBe(true)
  })

  test('a copy has none', () => {
    expect(revisionOf({ ...stamped }, store, 'a')).toBeUndefined()
    expect(revisionOf(structuredClone(stamped), store, 'a')).toBeUndefined()
    expect(revisionOf(Object.create(stamped), store, 'a')).toBeUndefined()
  })
})

test.each<[string, (object: object) => object]>([
  ['frozen', Object.freeze],
  ['sealed', Object.seal],
  ['not extensible', Object.preventExtensions],
  ['of no prototype', object => Object.setPrototypeOf(object, null)],
  ['of a class', object => Object.setPrototypeOf(object, Date.prototype)],
])('works on a session that is %s', (_, change) => {
  const one = change(session())
  const read = revision()
  attachRevision(one, read)
  expect(revisionOf(one, store, 'a')).toBe(read)
})

describe('passes from the stored session to the live one', () => {
  test('with the date that the live one has parsed', () => {
    const [stored, live] = [session(), session()]
    const read = revision()
    expect(read.expires).toBeNaN()
    attachRevision(stored, read)
    passRevision(stored, live, { originalMaxAge: 60 } as Cookie, 1234)
    const passed = revisionOf(live, store, 'a')
    expect(passed).toMatchObject({
      record: read.record,
      content: read.content,
      expires: 1234,
      originalMaxAge: 60,
    })
    expect(passed?.seenAt).toBe(read.seenAt)
  })

  test('to each that is made of it one of its own', () => {
    const [stored, one, other] = [session(), session(), session()]
    attachRevision(stored, revision())
    passRevision(stored, one, { originalMaxAge: 60 } as Cookie, 1234)
    ;(revisionOf(one, store, 'a') as Revision).content = 'saved since'
    passRevision(stored, other, { originalMaxAge: 60 } as Cookie, 1234)
    expect(revisionOf(other, store, 'a')?.content).toBe(revisionOf(stored, store, 'a')?.content)
    expect(revisionOf(other, store, 'a')?.content).not.toBe('saved since')
  })

  test('a session that was not read passes none, and takes away what was there', () => {
    const live = session()
    attachRevision(live, revision())
    passRevision(session(), live, { originalMaxAge: null } as Cookie, undefined)
    expect(revisionOf(live, store, 'a')).toBeUndefined()
  })
})

test('keeps no session alive, and goes with it', async () => {
  v8.setFlagsFromString('--expose-gc')
  const collect = vm.runInNewContext('gc') as () => void
  const sessions: WeakRef<object>[] = []
  const revisions: WeakRef<object>[] = []
  for (let i = 0; i < 100; i++) {
    const [one, read] = [session(), revision()]
    attachRevision(one, read)
    sessions.push(new WeakRef(one))
    revisions.push(new WeakRef(read))
  }
  for (let i = 0; i < 5; i++) {
    await turn()
    collect()
  }
  const alive = (refs: WeakRef<object>[]): number => refs.filter(ref => ref.deref() !== undefined).length
  // The last one may still be in a register.
  expect(alive(sessions)).toBeLessThanOrEqual(1)
  expect(alive(revisions)).toBeLessThanOrEqual(1)
})
