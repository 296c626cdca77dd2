import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import type { MemcachedStore } from '../../lib/index.ts'
import { OPCODE } from '../support/frames.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { type AnySession, LONG_AGO, peopleOn, sessionOf, withoutDate } from './people.ts'

const memcached = inject('memcached')?.split(',')[0] as string

let life = 60_000

/** Each time the session lives a minute longer, so that a touch is due. */
function refreshed(session: AnySession): AnySession {
  life += 60_000
  session.cookie.expires = new Date(Date.now() + life)
  return session
}

/** What keeps a session alive, each done by a process that has not met it before. */
const keepers: [string, dated: boolean, keep: (store: MemcachedStore, sid: string) => Promise<unknown>][] = [
  [
    'saved',
    true,
    async (store, sid) => {
      const session = (await store.get(sid)) as AnySession
      session.a = 1
      await store.set(sid, session)
    },
  ],
  [
    'saved unchanged, with `resave: true`',
    true,
    async (store, sid) => store.set(sid, (await store.get(sid)) as AnySession),
  ],
  ['touched', true, async (store, sid) => store.touch(sid, refreshed((await store.get(sid)) as AnySession))],
  ['touched unread', true, (store, sid) => store.touch(sid, refreshed(sessionOf('ann')))],
  [
    'touched without a date',
    false,
    async (store, sid) => store.touch(sid, (await store.get(sid)) as AnySession),
  ],
  ['touched unread without a date', false, (store, sid) => store.touch(sid, withoutDate('ann'))],
  ['updated', true, (store, sid) => store.update(sid, () => {})],
]

describe.skipIf(memcached === undefined)(
  'a session whose stored date is over, and late by less than `touchAfter`',
  () => {
    const people = peopleOn(memcached)

    test('is listed for as long as it lives', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      onTestFinished(() => {
        vi.useRealTimers()
      })
      const store = people.another({ touchAfter: 600 })
      const sid = randomUUID()
      await store.set(sid, sessionOf(undefined, {}, 300_000))
      vi.setSystemTime(Date.now() + 400_000)
      const session = (await store.get(sid)) as AnySession
      session.user = 'cleo'
      await store.set(sid, session)
      expect((await people.index('cleo'))?.until).toBeGreaterThan(Date.now() + 490_000)
    })
  },
)

describe.skipIf(memcached === undefined).each(keepers)('a session that is %s', (_, dated, keep) => {
  const people = peopleOn(memcached)
  const sid = randomUUID()
  beforeAll(() => people.store.set(sid, dated ? sessionOf('ann') : withoutDate('ann')))

  test('keeps the index for as long as it lives', async () => {
    await people.plant('ann', [[sid, Date.now()]])
    const before = (await people.index('ann'))?.until as number
    await keep(people.another(), sid)
    // By a whole life, but for the time that this test takes.
    await until(async () => ((await people.index('ann'))?.until as number) > before + 30_000)
    const ends = await people.raw.expirations(people.prefix)
    expect(ends.get(people.indexKey('ann'))).toBeGreaterThan(ends.get(`${people.prefix}${sid}`) as number)
    expect(await people.sids('ann')).toEqual([sid])
  })

  test('keeps it for a life more, by which a save that failed may prolong it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const other = randomUUID()
    await people.store.set(other, dated ? sessionOf('bob') : withoutDate('bob'))
    // Just before its end, when the index may have little left.
    const life = dated ? 60_000 : 86_400_000
    vi.setSystemTime(Date.now() + life - 3000)
    await keep(people.another(), other)
    await until(async () => ((await people.index('bob'))?.until as number) >= Date.now() + 1.9 * life)
  })

  test('is listed again when the index was evicted', async () => {
    await people.raw.delete(people.indexKey('ann'))
    expect(await people.sids('ann')).toEqual([])
    await keep(people.another(), sid)
    await until(async () => (await people.sids('ann')).includes(sid))
  })

  test('stays in its place', async () => {
    const others: [string, number][] = [
      [sid, LONG_AGO],
      ['later', Date.now()],
    ]
    await people.plant('ann', others)
    const before = (await people.index('ann'))?.until as number
    await keep(people.another(), sid)
    await until(async () => ((await people.index('ann'))?.until as number) > before)
    expect(await people.entries('ann')).toEqual(others)
  })
})

describe.skipIf(memcached === undefined)('the index of a session whose life grows', () => {
  const people = peopleOn(memcached)
  const HOURS_2 = 7_200_000

  test.each([
    [
      'in one process',
      async (sid: string) => {
        const session = (await people.store.get(sid)) as AnySession
        session.cookie = sessionOf('grows', {}, HOURS_2).cookie
        await people.store.set(sid, session)
      },
    ],
    [
      'after another user’s session was there',
      async (sid: string) => {
        await people.store.set(sid, sessionOf('before', {}, HOURS_2))
        await people.store.set(sid, sessionOf('grows', {}, 20_000))
        await people.store.set(sid, sessionOf('grows', {}, HOURS_2))
      },
    ],
  ])('outlives it: %s', async (_, grow) => {
    const sid = randomUUID()
    await people.store.set(sid, sessionOf('grows', {}, 20_000))
    await grow(sid)
    await until(async () => {
      const ends = await people.raw.expirations(people.prefix)
      const [index, session] = [people.indexKey('grows'), people.prefix + sid].map(key => ends.get(key) ?? 0)
      return (index as number) >= (session as number)
    })
    await people.store.destroyAllOf('grows')
    expect(await people.store.get(sid)).toBeNull()
  })
})

describe.skipIf(memcached === undefined)('entries', () => {
  const people = peopleOn(memcached)

  test('of sessions that have run out are not shown, and are dropped when they are old', async () => {
    const sid = randomUUID()
    await people.store.set(sid, sessionOf('brief', {}, 200))
    const stays = await people.login('brief')
    expect(await people.sids('brief')).toEqual([stays, sid])
    await until(async () => (await people.sids('brief')).length === 1)
    await people.plant('brief', [
      [sid, LONG_AGO],
      [stays, LONG_AGO],
    ])
    expect(await people.sids('brief')).toEqual([stays])
    expect(await people.entries('brief')).toEqual([[stays, LONG_AGO]])
  })

  test('of evicted sessions are not shown', async () => {
    const sids = [await people.login('evicted'), await people.login('evicted')]
    await people.evict(sids[0] as string)
    expect(await people.sids('evicted')).toEqual([sids[1]])
  })

  test('of logins that are on their way are not dropped by who looks meanwhile', async () => {
    await using proxy = await TcpProxy.start(memcached)
    const slow = people.another({ servers: proxy.address, timeout: 5000 })
    await slow.get('warm')
    const listed = proxy.holdFrom(OPCODE.add)
    const login = people.login('on-its-way', slow)
    await listed
    expect(await people.sids('on-its-way')).toEqual([])
    await proxy.pass()
    const sid = await login
    expect(await people.sids('on-its-way')).toEqual([sid])
  })

  test('are written again with a session that was evicted while a request had it', async () => {
    const sid = await people.login('back')
    const mine = (await people.store.get(sid)) as AnySession
    await people.evict(sid)
    await people.raw.delete(people.indexKey('back'))
    mine.a = 1
    await people.store.set(sid, mine)
    expect(await people.sids('back')).toEqual([sid])
  })

  test('that are none are written over', async () => {
    await people.raw.set(people.indexKey('corrupt'), 'no index')
    expect(await people.sids('corrupt')).toEqual([])
    const sid = await people.login('corrupt')
    expect(await people.sids('corrupt')).toEqual([sid])
    await people.raw.set(people.indexKey('corrupt'), '{"until":9e15,"last":0,"sessions":[7,["a"],["b","c"]]}')
    const next = await people.login('corrupt')
    expect(await people.sids('corrupt')).toEqual([next])
  })

  test('of the dead are dropped when their number has doubled', async () => {
    await people.plant(
      'doubling',
      Array.from({ length: 31 }, (_, at) => [`dead-${at}`, LONG_AGO]),
    )
    const sid = await people.login('doubling')
    await until(async () => (await people.entries('doubling')).length === 1)
    expect(await people.sids('doubling')).toEqual([sid])
  })
})
