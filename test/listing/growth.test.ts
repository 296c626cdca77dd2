import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { parseServers, type ServerAddress } from '../../lib/memcached/address.ts'
import { Inspector } from '../../lib/memcached/inspector.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { fill, sidOf, stored } from './fill.ts'
import { ScriptedServer } from './scripted-server.ts'

const PREFIX = 'growth:'

/** What a server of 8,192 places says of so many items. */
const told = (items: number, isExpanding = 0): string =>
  `STAT pid 1\r\nSTAT curr_items ${items}\r\nSTAT hash_power_level 13\r\nSTAT hash_is_expanding ${isExpanding}\r\nEND\r\n`

/** A server that says so of its table, and lists one key. */
async function telling(
  statistics: () => string,
): Promise<{ server: ScriptedServer; list: () => Promise<number> }> {
  const server = await ScriptedServer.start((line, socket) => {
    if (line === 'version\r\n') socket.write('VERSION 1.6.18\r\n')
    else if (line === 'stats\r\n') socket.write(statistics())
    else if (line === 'stats settings\r\n') socket.write('END\r\n')
    else socket.write('key=growth%3Aa exp=-1 la=1 cas=1 fetch=no cls=1 size=100\nEND\r\n')
  })
  const address = parseServers(server.address)[0] as ServerAddress
  const inspector = new Inspector({ address, tls: undefined, timeout: 300 })
  onTestFinished(() => inspector.close())
  const list = async (): Promise<number> => {
    let keys = 0
    const signal = new AbortController().signal
    await inspector.walk({ prefix: PREFIX, take: () => keys++, signal })
    return keys
  }
  return { server, list }
}

/** What it was asked of its table, before it was asked for its keys. */
const questions = ({ lines }: ScriptedServer): number =>
  lines.slice(0, lines.indexOf('lru_crawler metadump hash\r\n')).filter(line => line === 'stats\r\n').length

describe('a hash table is not walked', () => {
  test('while it is about to grow, or grows', async () => {
    const states = [told(12_289), told(12_289), told(12_289, 1), told(12_289, 1), told(12_288)]
    const { server, list } = await telling(() => states.shift() ?? told(0))
    await using _server = server
    expect(await list()).toBe(1)
    expect(questions(server)).toBe(5)
  })

  test.each([
    ['for ever where it does not grow (-o no_hashexpand)', told(1_000_000), 1000, 4],
    ['for longer than others are waited for', told(1_000_000, 1), 4000, 3],
  ])('but not %s', async (_, statistics, milliseconds, asked) => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const { server, list } = await telling(() => {
      vi.advanceTimersByTime(milliseconds)
      return statistics
    })
    await using _server = server
    expect(await list()).toBe(1)
    expect(questions(server)).toBe(asked)
  })

  test.each([
    ['nothing of it', 'STAT pid 1\r\nEND\r\n'],
    ['no statistics', 'ERROR\r\n'],
    ['something else', '\r\n\r\n'],
  ])('but where a server tells %s', async (_, statistics) => {
    const { server, list } = await telling(() => statistics)
    await using _server = server
    expect(await list()).toBe(1)
  })

  test.runIf(hasMemcached)('of a memcached that has just been filled', async () => {
    await using memcached = await Memcached.start('-o', 'hashpower=13')
    await using store = new MemcachedStore({ servers: memcached.address, prefix: PREFIX, timeout: 2000 })
    const address = parseServers(memcached.address)[0] as ServerAddress
    const inspector = new Inspector({ address, tls: undefined, timeout: 2000 })
    onTestFinished(() => inspector.close())
    const value = stored(1)
    for (const [power, count] of [
      [14, 12_300],
      [15, 24_600],
    ] as const) {
      await fill(memcached.address, count, number => [PREFIX + sidOf(number), value])
      expect(await store.length()).toBe(count)
      const { general } = await inspector.statistics()
      expect(general.get('hash_power_level')).toBe(`${power}`)
    }
  })
})
