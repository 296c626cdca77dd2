import { describe, expect, onTestFinished, test } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { parseServers, type ServerAddress } from '../../lib/memcached/address.ts'
import { isBinaryOnly } from '../../lib/memcached/binary/binary-statistics.ts'
import { exchange, type Target } from '../../lib/memcached/exchange.ts'
import { readStatistics } from '../../lib/memcached/read-statistics.ts'
import { build, RESPONSE } from '../support/frames.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { stored } from './fill.ts'
import { Front, type OnText, sayOk } from './front.ts'
import { ScriptedServer } from './scripted-server.ts'

const { signal } = new AbortController()
const STAT = 0x10

function targetOf(address: string, timeout = 300): Target {
  return { address: parseServers(address)[0] as ServerAddress, tls: undefined, timeout }
}

async function start(...flags: string[]): Promise<Memcached> {
  const server = await Memcached.start(...flags)
  onTestFinished(() => server.kill())
  return server
}

async function createBehind(onText: OnText, ...flags: string[]): Promise<MemcachedStore> {
  const front = await Front.start((await start(...flags)).address, onText)
  const store = new MemcachedStore({ servers: front.address, timeout: 300 })
  onTestFinished(async () => {
    await store.close()
    await front[Symbol.asyncDispose]()
  })
  return store
}

/** Says the same again and again, as fast as it is read, to whoever asks anything. */
function endless(bytes: Buffer): Promise<ScriptedServer> {
  return ScriptedServer.start((_, socket) => {
    const say = (): void => {
      while (!socket.destroyed && socket.write(bytes));
    }
    socket.on('drain', say)
    say()
  })
}

describe.skipIf(!hasMemcached)('listing', () => {
  test('a memcached that says OK before the keys, as since 1.6.43', async () => {
    const store = await createBehind(sayOk)
    expect(await store.length()).toBe(0)
    for (const sid of ['a', 'b', 'c']) await store.set(sid, JSON.parse(stored(1)))
    expect(await store.length()).toBe(3)
    expect((await store.ids()).sort()).toEqual(['a', 'b', 'c'])
    expect((await store.all()).map(({ id }) => id).sort()).toEqual(['a', 'b', 'c'])
    await store.clear()
    expect(await store.length()).toBe(0)
  })

  test.each([
    ['closed', (client: Parameters<OnText>[1]) => client.end()],
    ['reset', (client: Parameters<OnText>[1]) => client.resetAndDestroy()],
  ])('%s before its first key: the server is at fault, not what it speaks', async (_, cut) => {
    const store = await createBehind((_, client) => {
      cut(client)
    })
    await expect(store.length()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
  })

  test('a server that speaks only binary says so', async () => {
    const { address } = await start('-B', 'binary')
    expect(await isBinaryOnly(targetOf(address), signal)).toBe(true)
    await using store = new MemcachedStore({ servers: address })
    await expect(store.length()).rejects.toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
  })
})

test('the embedded memcached says OK before the keys, too', async () => {
  await using server = await EmbeddedMemcached.start()
  await using store = new MemcachedStore({ servers: server.address })
  await store.set('a', JSON.parse(stored(1)))
  expect(await store.ids()).toEqual(['a'])
  expect(await isBinaryOnly(targetOf(server.address), signal)).toBe(false)
})

describe('statistics', () => {
  const stat = (key: string, value = 'v'): Buffer =>
    build(RESPONSE, { opcode: STAT, key, value: Buffer.from(value) })

  const questions = [
    ['statistics', readStatistics],
    ['the question for its protocol', isBinaryOnly],
  ] as const

  describe.each(questions)('%s', (_, ask) => {
    test.each([
      ['a byte', 1],
      ['a statistic', stat('name').length],
    ])('that drip %s now and then, and never end', async (_, length) => {
      const text = stat('name')
      await using server = await ScriptedServer.start((_, socket) => {
        let at = 0
        const drip = (): void => {
          socket.write(text.subarray(at, at + length))
          at = (at + length) % text.length
        }
        const timer = setInterval(drip, 5)
        socket.on('close', () => clearInterval(timer))
      })
      const asked = ask(targetOf(server.address, 100), signal)
      await expect(asked).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
      await until(() => server.sockets.size === 0)
    })
  })

  test('without end, as fast as they are read', async () => {
    await using server = await endless(stat('name'))
    await expect(readStatistics(targetOf(server.address, 60_000), signal)).rejects.toMatchObject({
      code: 'ERR_PROTOCOL',
    })
    await until(() => server.sockets.size === 0)
    expect(await isBinaryOnly(targetOf(server.address, 60_000), signal)).toBe(false)
  })

  test('are printable', async () => {
    const end = build(RESPONSE, { opcode: STAT })
    const text = Buffer.concat([stat('version', '\x1b[31m1.6'), end, stat('evi\x07ctions', 'on'), end])
    await using server = await ScriptedServer.start((_, socket) => socket.write(text))
    const { general, settings } = await readStatistics(targetOf(server.address), signal)
    expect([...general, ...settings]).toEqual([
      ['version', '?[31m1.6'],
      ['evi?ctions', 'on'],
    ])
  })
})

describe('an answer', () => {
  test('without end is ended when the time that was granted is over', async () => {
    await using server = await endless(Buffer.alloc(10_000))
    let bytes = 0
    const take = (chunk: Buffer): boolean => {
      bytes += chunk.length
      return false
    }
    const asked = exchange(
      targetOf(server.address, 50),
      () => 'say',
      take,
      signal,
      () => 3,
    )
    await expect(asked).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(bytes).toBeGreaterThan(0)
    await until(() => server.sockets.size === 0)
  })
})
