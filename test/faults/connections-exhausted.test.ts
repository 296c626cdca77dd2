import { on } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'

/** Takes every connection that a memcached has, until it says that it has no more. */
async function exhaust(memcached: Memcached, connections: number): Promise<Socket[]> {
  const first = connect(memcached.port, '127.0.0.1')
  const stats = async (): Promise<string> => {
    first.write('stats\r\n')
    let text = ''
    for await (const [chunk] of on(first, 'data')) {
      text += chunk
      if (text.endsWith('END\r\n')) break
    }
    return text
  }
  await stats()
  const fillers = Array.from({ length: connections }, () =>
    connect(memcached.port, '127.0.0.1').on('error', () => {}),
  )
  await until(async () => /STAT (listen_disabled_num|rejected_connections) [1-9]/.test(await stats()))
  return [first, ...fillers]
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
