import { describe, expect, test } from 'vitest'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { TcpProxy } from '../support/proxy.ts'
import { runChild } from './run-child.ts'

interface Seen {
  calls: Record<string, number>
  uncaught: string[]
  outcomes: unknown[]
}

describe.skipIf(!hasMemcached).concurrent('throwing callback', () => {
  test.each(['success', 'refused', 'hung', 'listener'])(
    'with %s: heard of once, as an uncaught exception',
    async fault => {
      await using memcached = await Memcached.start()
      await using proxy = await TcpProxy.start(memcached.address)
      if (fault === 'refused') await proxy.refuse()
      if (fault === 'hung') proxy.silence()
      const { calls, uncaught, outcomes } = JSON.parse(
        await runChild('throwing-callback.child.ts', proxy.address, fault),
      ) as Seen
      expect(Object.keys(calls).length).toBe(fault === 'listener' ? 2 : 31)
      for (const [name, count] of Object.entries(calls)) expect([name, count]).toEqual([name, 1])
      expect(uncaught.toSorted()).toEqual(Object.keys(calls).toSorted())
      if (fault === 'success' || fault === 'listener') {
        expect(outcomes).toMatchObject([0, 1, 2, 3, 4].map(turn => ({ owner: `throwing-${turn}-other` })))
      } else {
        expect(outcomes).toEqual(Array(5).fill(fault === 'hung' ? 'ERR_TIMEOUT' : 'ERR_UNAVAILABLE'))
      }
    },
  )
})
