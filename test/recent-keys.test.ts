import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, inject, test, vi } from 'vitest'
import { MemcachedStore } from '../lib/index.ts'
import { RecentKeys } from '../lib/recent-keys.ts'
import { sessionOf } from './contract/calls.ts'
import { OPCODE } from './support/frames.ts'
import { TcpProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const HOUR = 3_600_000

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('what was noted', () => {
  test('is known for a span, and again when noted again', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const recent = new RecentKeys<string>(10)
    expect([recent.within('a', 100), recent.find('a', 100)]).toEqual([false, undefined])
    recent.note('a', 'first')
    vi.advanceTimersByTime(99)
    expect([recent.within('a', 100), recent.find('a', 100)]).toEqual([true, 'first'])
    vi.advanceTimersByTime(1)
    expect([recent.within('a', 100), recent.find('a', 100)]).toEqual([false, undefined])
    recent.note('a', 'second')
    expect(recent.find('a', 100)).toBe('second')
    recent.forget('a')
    expect([recent.within('a', 100), recent.find('a', 100)]).toEqual([false, undefined])
  })

  test('longest ago is forgotten first', () => {
    const recent = new RecentKeys(2)
    for (const key of ['a', 'b', 'a', 'c']) recent.note(key)
    expect(['a', 'b', 'c'].map(key => recent.within(key, HOUR))).toEqual([true, false, true])
  })
})

test.skipIf(memcached === undefined)(
  'a session without a date is touched after the clock was set back',
  async () => {
    await using proxy = await TcpProxy.start(memcached)
    await using store = new MemcachedStore({
      servers: proxy.address,
      prefix: `clock-${randomUUID()}:`,
      touchAfter: 1,
    })
    await store.set('a', sessionOf())
    const now = Date.now.bind(Date)
    vi.spyOn(Date, 'now').mockImplementation(() => now() - HOUR)
    await until(async () => {
      await store.touch('a', sessionOf())
      return proxy.count(OPCODE.replace) > 0
    })
  },
)
