import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { MemcachedStoreError } from '../../lib/errors.ts'
import { parseServers, type ServerAddress } from '../../lib/memcached/address.ts'
import type { Target } from '../../lib/memcached/exchange.ts'
import { granted, type ListedItem, walk } from '../../lib/memcached/walk.ts'
import { until } from '../support/until.ts'
import { ScriptedServer } from './scripted-server.ts'

const TIMEOUT = 300

function targetOf(address: string, timeout = TIMEOUT): Target {
  return { address: parseServers(address)[0] as ServerAddress, tls: undefined, timeout }
}

async function list(
  server: ScriptedServer,
  prefix = 'sess:',
  signal: AbortSignal = new AbortController().signal,
  timeout: number = TIMEOUT,
): Promise<ListedItem[]> {
  const items: ListedItem[] = []
  await walk(targetOf(server.address, timeout), { prefix, take: item => items.push(item), signal })
  return items
}

const line = (key: string, expires = 2_000_000_000, more = ''): string =>
  `key=${key} exp=${expires} la=1795368859 cas=12 fetch=no cls=7 size=393${more}\n`

const END = 'END\r\n'

describe('walking the keys of a server', () => {
  test('keys are decoded, those of others left out, fields read', async () => {
    const text = [
      line('sess%3Aabc'),
      line('sess%3Anever', -1),
      line('other'),
      line('sess%3'),
      line('sess%3B'),
      line('sess%3A'),
      line('sess%3A%C3%A9%20%25%3A_-.~', 7, ' flags=65536'),
    ]
    await using server = await ScriptedServer.start((_, socket) => socket.end(text.join('') + END))
    expect(await list(server)).toEqual([
      { key: 'sess:abc', expires: 2_000_000_000, size: 393 },
      { key: 'sess:never', expires: Infinity, size: 393 },
      { key: 'sess:', expires: 2_000_000_000, size: 393 },
      { key: 'sess:\xc3\xa9 %:_-.~', expires: 7, size: 393 },
    ])
    expect(server.lines).toEqual(['lru_crawler metadump hash\r\n'])
    expect(await list(server, '')).toHaveLength(text.length)
  })

  test('in whatever pieces it comes', async () => {
    const text = Array.from({ length: 20 }, (_, number) => line(`sess%3A${number}`)).join('') + END
    for (const size of [1, 7, 100]) {
      await using server = await ScriptedServer.start(async (_, socket) => {
        socket.setNoDelay(true)
        for (let at = 0; at < text.length; at += size) {
          socket.write(text.slice(at, at + size))
          await nextTurn()
        }
      })
      expect(await list(server)).toHaveLength(20)
    }
  })

  test('from 1.6.43 on, that say OK before the keys, in whatever pieces', async () => {
    const text = `OK\r\n${line('sess%3Aa')}${line('sess%3Ab')}${END}`
    for (const size of [1, 3, 4, 1000]) {
      await using server = await ScriptedServer.start(async (_, socket) => {
        socket.setNoDelay(true)
        for (let at = 0; at < text.length; at += size) {
          socket.write(text.slice(at, at + size))
          await nextTurn()
        }
      })
      expect(await list(server)).toHaveLength(2)
    }
    await using empty = await ScriptedServer.start((_, socket) => socket.write(`OK\r\n${END}`))
    expect(await list(empty)).toEqual([])
  })

  test('an empty server', async () => {
    await using server = await ScriptedServer.start((_, socket) => socket.write(END))
    expect(await list(server)).toEqual([])
  })

  test('the connection is closed at the end', async () => {
    await using server = await ScriptedServer.start((_, socket) => socket.write(END))
    await list(server)
    await until(() => server.sockets.size === 0)
  })

  test.each(['BUSY currently processing crawler request\r\n', 'ERROR locked try again later\r\n'])(
    '%j: asked again until it is free',
    async busy => {
      let tries = 0
      await using server = await ScriptedServer.start((_, socket) => {
        socket.write(++tries < 4 ? busy : line('sess%3Aa') + END)
      })
      expect(await list(server)).toHaveLength(1)
      expect(tries).toBe(4)
    },
  )

  test('one that stays busy is given up', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    await using server = await ScriptedServer.start((_, socket) => {
      socket.write('BUSY\r\n')
      vi.advanceTimersByTime(3000)
    })
    await expect(list(server)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
    expect(server.lines).toHaveLength(4)
  })

  test('an older server, that walks only its LRUs', async () => {
    await using server = await ScriptedServer.start((command, socket) => {
      socket.write(command.includes('hash') ? 'BADCLASS invalid class id\r\n' : line('sess%3Aa') + END)
    })
    expect(await list(server)).toHaveLength(1)
    expect(server.lines.at(-1)).toBe('lru_crawler metadump all\r\n')
  })

  test.each([
    ['ERROR metadump not allowed\r\n', '-X'],
    ['CLIENT_ERROR lru crawler disabled\r\n', 'no_lru_crawler'],
    ['ERROR\r\n', 'ERROR'],
    ['CLIENT_ERROR unauthenticated\r\n', '-Y'],
    ['SERVER_ERROR \x1b[31mno such thing\r\n', 'SERVER_ERROR to'],
    ['OK\r\nERROR no\r\n', 'ERROR'],
  ])('%j: says what is missing', async (answer, reason) => {
    await using server = await ScriptedServer.start((_, socket) => socket.write(answer))
    const error = await list(server).catch(thrown => thrown)
    expect(error).toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
    expect(error.message).toContain(reason)
    expect(error.message).toContain(server.address)
  })

  test.each([
    ['cut off', line('sess%3Aa'), 'ERR_UNAVAILABLE', true],
    ['silent in the middle', line('sess%3Aa'), 'ERR_TIMEOUT', false],
    ['garbage in the middle', `${line('sess%3Aa')}HTTP/1.1 400\r\n`, 'ERR_PROTOCOL', false],
    ['a line without end', 'key='.repeat(1000), 'ERR_PROTOCOL', false],
    ['a line too long', `key=${'k'.repeat(3000)} exp=1\n`, 'ERR_PROTOCOL', false],
    ['garbage from the start', 'HTTP/1.1 400 Bad Request\r\n', 'ERR_PROTOCOL', false],
    ['an empty line', '\r\n', 'ERR_PROTOCOL', false],
    ['OK behind keys', `${line('sess%3Aa')}OK\r\n${END}`, 'ERR_PROTOCOL', false],
    ['BUSY behind keys', `${line('sess%3Aa')}BUSY\r\n${END}`, 'ERR_PROTOCOL', false],
    ['a key without a space behind it', `key=sess%3Aa\n${END}`, 'ERR_PROTOCOL', false],
    ['a key that memcached cannot have', line(`sess%3A${'a'.repeat(246)}`) + END, 'ERR_PROTOCOL', false],
    ['no key', `key= exp=1\n${END}`, 'ERR_PROTOCOL', false, ''],
    ['a byte that is none', line('sess%3Aa%ZZ') + END, 'ERR_PROTOCOL', false],
    ['too many connections', 'ERROR Too many open connections\r\n', 'ERR_UNAVAILABLE', true],
    ['nothing at all', '', 'ERR_TIMEOUT', false],
  ])('%s: fails', async (_, text, code, isClosed, prefix = 'sess:') => {
    await using server = await ScriptedServer.start((_, socket) => {
      if (isClosed) socket.end(text)
      else socket.write(text)
    })
    await expect(list(server, prefix)).rejects.toMatchObject({ code })
    await until(() => server.sockets.size === 0)
  })

  test('what a line lacks is not looked for in the next one', async () => {
    const text = `key=sess%3Aa la=1 \nkey=sess%3Ab exp=7 la=1 size=5\n${END}`
    await using server = await ScriptedServer.start((_, socket) => socket.write(text))
    expect(await list(server)).toEqual([
      { key: 'sess:a', expires: Number.NaN, size: Number.NaN },
      { key: 'sess:b', expires: 7, size: 5 },
    ])
  })

  test.each([
    'sess:secret\r\n',
    'ERROR sess:secret\r\n',
    'CLIENT_ERROR sess:secret is not allowed\r\n',
    'SERVER_ERROR sess:secret\r\n',
    'ITEM sess:secret [5 b; 0 s]\r\n',
    `${line('sess%3Aa')}sess:secret\r\n`,
    'key=sess%3Asecret\n',
  ])('%j: no message tells what may be a key', async text => {
    await using server = await ScriptedServer.start((_, socket) => socket.write(text))
    const error = await list(server).catch(thrown => thrown)
    expect(error).toBeInstanceOf(MemcachedStoreError)
    expect(`${error.stack} ${error.cause}`).not.toContain('secret')
  })

  test.each([
    ['a byte', () => 'k'],
    ['a line', (number: number) => line(`sess%3A${number}`)],
    ['a line of somebody else', () => line('other')],
    ['an OK', () => 'OK\r\n'],
  ])('one that drips %s now and then, and never ends, is given up', async (_, drop) => {
    await using server = await ScriptedServer.start((_, socket) => {
      let number = 0
      const timer = setInterval(() => socket.write(drop(number++)), 5)
      socket.on('close', () => clearInterval(timer))
    })
    const { signal } = new AbortController()
    await expect(list(server, 'sess:', signal, 50)).rejects.toMatchObject({
      code: 'ERR_TIMEOUT',
      status: 503,
    })
    await until(() => server.sockets.size === 0)
  })

  test('time is earned by getting on, and is not endless', () => {
    expect(granted(0, 500)).toBe(10)
    expect(granted(500_000, 500)).toBe(1000)
    expect(granted(1e12, 500)).toBe(1000)
    // At a tenth of the pace of memcached, with room to spare.
    for (const keys of [1e3, 1e5, 1e7]) expect(granted(keys, 500) * 500).toBeGreaterThan((2 * keys) / 200)
  })

  test('slow, but never silent for long', async () => {
    await using server = await ScriptedServer.start(async (_, socket) => {
      for (let number = 0; number < 6; number++) {
        socket.write(line(`sess%3A${number}`))
        await pause(TIMEOUT / 3)
      }
      socket.write(END)
    })
    expect(await list(server)).toHaveLength(6)
  })

  test('a process that was busy itself reads what has come before it blames the server', async () => {
    await using server = await ScriptedServer.start((_, socket) => socket.write(line('sess%3Aa') + END))
    const listed = list(server)
    await nextTurn()
    const end = performance.now() + 2 * TIMEOUT
    while (performance.now() < end);
    // The server lives in this process, so it too had no turn.
    expect(await listed).toHaveLength(1)
  })

  test('stopped: fails with the reason, and the connection is closed', async () => {
    await using server = await ScriptedServer.start((_, socket) => socket.write(line('sess%3Aa')))
    const stopping = new AbortController()
    const listed = list(server, 'sess:', stopping.signal)
    await until(() => server.lines.length === 1)
    stopping.abort(new Error('enough'))
    await expect(listed).rejects.toThrow('enough')
    await until(() => server.sockets.size === 0)
    await expect(list(server, 'sess:', stopping.signal)).rejects.toThrow('enough')
  })
})
