import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { MemcachedStore } from '../../lib/index.ts'
import { Lab, withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'

function eventsOf(store: MemcachedStore): string[] {
  const events: string[] = []
  store.on('connect', () => events.push('connect'))
  store.on('disconnect', () => events.push('disconnect'))
  return events
}

/** express-session takes them for a switch, so each must undo the one before. */
function expectAlternating(events: string[]): void {
  expect(events.filter((event, index) => event === events[index - 1])).toEqual([])
}

describe.skipIf(!hasMemcached)('events of an unavailable server', () => {
  test('connect and disconnect alternate through refusals, resets, silence and garbage', async () => {
    await using lab = await Lab.start({ onUnavailable: 'anonymous' })
    const { operations, proxy, store } = lab
    const events = eventsOf(store)
    await lab.warmUp()
    const faults: (() => unknown)[] = [
      () => proxy.refuse(),
      () => proxy.silence(),
      () => proxy.cutAfter(0, 'reset', Infinity),
      () => proxy.swallow(),
      () => proxy.tamper(reply => Buffer.alloc(reply.length)),
    ]
    const harm = (async () => {
      for (const fault of faults) {
        await fault()
        await until(() => events.at(-1) === 'disconnect')
        await proxy.pass()
        await until(() => events.at(-1) === 'connect')
      }
    })()
    await operations.steadily(10, harm)
    await operations.settled('ERR_UNAVAILABLE', 'ERR_TIMEOUT', 'ERR_PROTOCOL')
    expectAlternating(events)
    expect(events.filter(event => event === 'disconnect').length).toBeGreaterThanOrEqual(faults.length)
    await operations.recovered()
    expect(events.at(-1)).toBe('connect')
  })

  test('down from the start', async () => {
    await using lab = await Lab.start({ onUnavailable: 'anonymous' })
    const { operations, proxy, store } = lab
    const events = eventsOf(store)
    await proxy.refuse()
    await operations.burst(20)
    await until(() => events.length > 0)
    expect(events).toEqual(['disconnect'])
    await proxy.pass()
    // Nobody asks anything: express-session does not, after `disconnect`.
    await until(() => events.length > 1)
    expect(events).toEqual(['disconnect', 'connect'])
    await operations.recovered()
  })

  test('of two servers, one is enough', async () => {
    await using one = await Memcached.start()
    await using two = await Memcached.start()
    await using watched = withStore([one.address, two.address], { onUnavailable: 'anonymous' })
    const { operations, store } = watched
    const events = eventsOf(store)
    await operations.burst(50)
    await one.kill()
    await operations.burst(50)
    expect(events).not.toContain('disconnect')
    await two.kill()
    await operations.burst(50)
    await until(() => events.at(-1) === 'disconnect')
    await one.restart()
    await until(() => events.at(-1) === 'connect')
    await operations.settled()
    expectAlternating(events)
  })

  test("not with onUnavailable: 'error'", async () => {
    await using lab = await Lab.start()
    const { operations, proxy, store } = lab
    const events = eventsOf(store)
    await lab.warmUp()
    await proxy.refuse()
    await operations.burst(20)
    await sleep(50)
    await proxy.pass()
    await operations.recovered()
    expect(events).toEqual([])
  })
})
