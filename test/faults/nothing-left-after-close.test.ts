import { describe, expect, test } from 'vitest'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { NOBODY } from '../support/port.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { runChild } from './run-child.ts'

interface Seen {
  /** Kinds of timers and sockets that were not there before. */
  left: string[]
  /** What an operation after `close()` failed with. */
  late: string
  outcomes: string[]
}

const IMPATIENT = { timeout: 250 }

/** Where all is to go well, a busy machine gets time; {@link IMPATIENT} is for what hangs. */
async function run(servers: string, when: string, options = { timeout: 2000 }): Promise<Seen> {
  return JSON.parse(
    await runChild('nothing-left-after-close.child.ts', servers, when, JSON.stringify(options)),
  )
}

describe.skipIf(!hasMemcached).concurrent('nothing is left after close', () => {
  test('of a store that was never used', async () => {
    expect(await run('localhost:1', 'unused')).toEqual({ left: [], late: 'ERR_CLOSED', outcomes: [] })
  })

  test('of one that was used', async () => {
    await using memcached = await Memcached.start()
    await using proxy = await TcpProxy.start(memcached.address)
    expect(await run(proxy.address, 'used')).toEqual({ left: [], late: 'ERR_CLOSED', outcomes: ['ok'] })
    await until(() => proxy.open === 0)
  })

  test('with several servers, some of them down', async () => {
    await using memcached = await Memcached.start()
    const { left, outcomes } = await run(`${memcached.address},127.0.0.1:1,127.0.0.1:2`, 'used')
    expect(left).toEqual([])
    expect(outcomes.toSorted()).toEqual(['ERR_UNAVAILABLE', 'ok'])
  })

  test.each(['in flight', 'in flight, twice'])('operations end first: %s', async when => {
    await using memcached = await Memcached.start()
    await using proxy = await TcpProxy.start(memcached.address)
    proxy.delay(100)
    expect(await run(proxy.address, when)).toEqual({
      left: [],
      late: 'ERR_CLOSED',
      outcomes: ['ok'],
    })
    await until(() => proxy.open === 0)
  })

  test.each(['used', 'in flight'])('of a server that hangs, %s', async when => {
    await using memcached = await Memcached.start()
    await using proxy = await TcpProxy.start(memcached.address)
    proxy.silence()
    const { left, late, outcomes } = await run(proxy.address, when, IMPATIENT)
    expect({ left, late }).toEqual({ left: [], late: 'ERR_CLOSED' })
    expect(outcomes).not.toContain('ok')
  })

  test.each(['used', 'in flight'])('of a server that is down and probed, %s', async when => {
    const { left, late, outcomes } = await run(NOBODY, when)
    expect({ left, late, outcomes }).toEqual({ left: [], late: 'ERR_CLOSED', outcomes: ['ERR_UNAVAILABLE'] })
  })

  test.each(['changing', 'changing, never closed'])('of servers that come and go: %s', async when => {
    await using one = await Memcached.start()
    await using two = await Memcached.start()
    await using other = await Memcached.start()
    const { left } = await run([one, two, other].map(({ address }) => address).join(), when)
    if (when === 'changing') expect(left).toEqual([])
  })

  test.each(['idle', 'down'])(
    'a store that is not closed does not keep the process alive: %s',
    async state => {
      await using memcached = await Memcached.start()
      await run(state === 'idle' ? memcached.address : NOBODY, 'never closed')
    },
  )
})
