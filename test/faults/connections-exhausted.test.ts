import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'

/** Takes every connection that a memcached has. */
async function exhaust(memcached: Memcached, connections: number): Promise<Socket[]> {
  let served = 0
  // memcached keeps some of its `-c` for itself, so the last ones are not served.
  const sockets = Array.from({ length: connections }, () => {
    const socket = connect(memcached.port, '127.0.0.1').on('error', () => {})
    socket.on('data', text => {
      // The others get nothing, or a line that says no.
      if (String(text).startsWith('VERSION')) served++
    })
    socket.write('version\r\n')
    return socket
  })
  for (let before = -1; before < served; ) {
    before = served
    await sleep(200)
  }
  expect(served).toBeGreaterThan(0)
  expect(served).toBeLessThan(connections)
  return sockets
}

describe.skipIf(!hasMemcached)('connections exhausted', () => {
  test.each([64, 1024])('-c %d, connections queue silently', async connections => {
    await using memcached = await Memcached.start('-c', String(connections), '-o', 'no_maxconns_fast')
    const fillers = await exhaust(memcached, connections)
    await using watched = withStore(memcached.address)
    const { operations } = watched
    const outcomes = await operations.burst(100)
    await operations.settled()
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    for (const filler of fillers) filler.destroy()
    await operations.recovered()
  })

  test('-o maxconns_fast: refused with a line of text', async () => {
    await using memcached = await Memcached.start('-c', '64', '-o', 'maxconns_fast')
    const fillers = await exhaust(memcached, 64)
    await using watched = withStore(memcached.address)
    const { operations } = watched
    const outcomes = await operations.burst(100)
    await operations.settled('ERR_UNAVAILABLE', 'ERR_PROTOCOL', 'ERR_TIMEOUT')
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    for (const filler of fillers) filler.destroy()
    await operations.recovered()
  })
})
