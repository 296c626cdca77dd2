import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { parseServers, type ServerAddress } from '../../lib/memcached/address.ts'
import type { Target } from '../../lib/memcached/exchange.ts'
import { type ListedItem, walk } from '../../lib/memcached/walk.ts'
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
): Promise<ListedItem[]> {
  const items: ListedItem[] = []
  await walk(targetOf(server.address), { prefix, take: item => items.push(item), signal })
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
    await using server = await ScriptedServer.start((_, socket) => socket.write('BUSY\r\n'))
    await expect(list(server)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
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
    ['CLIENT_ERROR \x1b[31munauthenticated\r\n', '?[31munauthenticated'],
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
    ['too many connections', 'ERROR Too many open connections\r\n', 'ERR_UNAVAILABLE', true],
    ['nothing at all', '', 'ERR_TIMEOUT', false],
  ])('%s: fails', async (_, text, code, isClosed) => {
    await using server = await ScriptedServer.start((_, socket) => {
      if (isClosed) socket.end(text)
      else socket.write(text)
    })
    await expect(list(server)).rejects.toMatchObject({ code })
    await until(() => server.sockets.size === 0)
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
