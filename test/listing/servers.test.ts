import { describe, expect, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { fill, keysOn, sidOf, stored } from './fill.ts'
import { ScriptedServer } from './scripted-server.ts'

const COUNT = 200
const PREFIX = 'servers:'

describe.skipIf(!hasMemcached)('several servers', () => {
  test('only where get looks: what a change of servers left behind is not listed, but cleared', async () => {
    await using one = await Memcached.start()
    await using other = await Memcached.start()
    const value = stored(1)
    // As they lie while there is one server.
    await fill(one.address, COUNT, number => [PREFIX + sidOf(number), value])
    await using store = new MemcachedStore({ servers: [one.address, other.address], prefix: PREFIX })
    const sids = Array.from({ length: COUNT }, (_, number) => sidOf(number))
    const there = [...(await store.getMany(sids)).keys()].sort()
    expect(there.length).toBeGreaterThan(COUNT / 4)
    expect(there.length).toBeLessThan(COUNT)
    expect((await store.ids()).sort()).toEqual(there)
    expect(await store.length()).toBe(there.length)
    expect((await store.all()).map(({ id }) => id).sort()).toEqual(there)
    await store.clear()
    expect(await keysOn(one.address)).toEqual(new Set())
  })

  /** A server that is slow to list keys of somebody else, and counts who leaves before the end. */
  async function slow(lines: number): Promise<{ server: ScriptedServer; cuts: () => number }> {
    let cuts = 0
    const server = await ScriptedServer.start((line, socket) => {
      if (!line.startsWith('lru_crawler')) {
        socket.end()
        return
      }
      let left = lines
      const timer = setInterval(() => {
        socket.write(left-- > 0 ? 'key=other exp=-1 la=1 cas=1 fetch=no cls=1 size=100\n' : 'END\r\n')
      }, 5)
      socket.on('close', () => {
        clearInterval(timer)
        if (left >= 0) cuts++
      })
    })
    return { server, cuts: () => cuts }
  }

  test('break waits for no other server, whose walk runs to its end all the same', async () => {
    await using one = await Memcached.start()
    const { server, cuts } = await slow(200)
    await using other = server
    await using store = new MemcachedStore({ servers: [one.address, other.address], prefix: PREFIX })
    const value = stored(1)
    await fill(one.address, COUNT, number => [PREFIX + sidOf(number), value])
    for await (const { sid } of store.sessions()) {
      expect(sid).toMatch(/^sid-/)
      await until(() => other.lines.some(line => line.startsWith('lru_crawler')))
      break
    }
    expect(other.sockets.size).toBe(1)
    await until(() => other.sockets.size === 0)
    expect(cuts()).toBe(0)
  })

  test('close ends a walk under way, and lets none begin', async () => {
    const { server } = await slow(Infinity)
    await using _server = server
    const store = new MemcachedStore({ servers: server.address, prefix: PREFIX })
    const outcomes = Promise.allSettled([store.length(), store.ids(), store.stats()])
    await until(() => server.lines.some(line => line.startsWith('lru_crawler')))
    await store.close()
    const [length, ids, stats] = await outcomes
    expect(length).toMatchObject({ status: 'rejected', reason: { code: 'ERR_CLOSED' } })
    expect(ids).toMatchObject({ status: 'rejected', reason: { code: 'ERR_CLOSED' } })
    expect(stats).toMatchObject({ status: 'fulfilled', value: { servers: [{ reachable: false }] } })
    await until(() => server.sockets.size === 0)
  })

  test('one that fails on the way ends the listing', async () => {
    await using one = await Memcached.start()
    await using other = await Memcached.start()
    const servers = [one.address, other.address]
    await using store = new MemcachedStore({ servers, prefix: PREFIX, timeout: 300 })
    for (let number = 0; number < 2000; number++) await store.set(sidOf(number), JSON.parse(stored(number)))
    const listing = async (): Promise<void> => {
      let count = 0
      for await (const _ of store.sessions()) if (count++ === 0) await other.kill()
    }
    await expect(listing()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    // Also to one who is slow to notice.
    await other.restart()
    const iterator = store.sessions()
    await iterator.next().catch(() => {})
    await iterator.return()
  })
})
