import { describe, expect, test } from 'vitest'
import { elastiCache } from '../../lib/discovery/index.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { ScriptedServer } from '../listing/scripted-server.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { NOBODY } from '../support/port.ts'
import { until } from '../support/until.ts'

/** As ElastiCache answers. */
function configuration(version: number | string, ...servers: string[]): string {
  const body = `${version}\n${servers.join(' ')}\n`
  return `CONFIG cluster 0 ${body.length}\r\n${body}\r\nEND\r\n`
}

/** An endpoint that gives these answers, the last one again and again. */
async function endpoint(...answers: string[]): Promise<ScriptedServer> {
  let turn = 0
  return ScriptedServer.start((line, socket) => {
    if (line === 'config get cluster\r\n')
      socket.write(answers[Math.min(turn++, answers.length - 1)] as string)
  })
}

const ONE = 'one.cache.example|10.0.0.1|11211'
const TWO = 'two.cache.example|10.0.0.2|11212'

describe('elastiCache', () => {
  test.each<[string, string, string[]]>([
    ['names', configuration(12, ONE, TWO), ['one.cache.example:11211', 'two.cache.example:11212']],
    ['addresses, as of Memorystore', configuration(1, '10.0.0.3|10.0.0.3|11211'), ['10.0.0.3:11211']],
    ['an address without a name', configuration(1, '|10.0.0.3|11211'), ['10.0.0.3:11211']],
    ['a name without an address', configuration(1, 'one|'.concat('|11211')), ['one:11211']],
    ['IPv6', configuration(1, '|::1|11211'), ['[::1]:11211']],
    [
      'spaces in between',
      configuration(1, ONE, '', TWO, ''),
      ['one.cache.example:11211', 'two.cache.example:11212'],
    ],
    ['one twice', configuration(1, ONE, ONE), ['one.cache.example:11211']],
  ])('%s', async (_, answer, servers) => {
    await using server = await endpoint(answer)
    expect(await elastiCache(server.address)()).toEqual(servers)
    await until(() => server.sockets.size === 0)
  })

  test('in pieces', async () => {
    await using server = await ScriptedServer.start((_, socket) => {
      socket.setNoDelay(true)
      const bytes = [...configuration(12, ONE, TWO)]
      const timer = setInterval(() => {
        if (bytes.length > 0) socket.write(bytes.splice(0, 5).join(''))
        else clearInterval(timer)
      }, 1)
    })
    expect(await elastiCache(server.address)()).toHaveLength(2)
  })

  test('hundreds', async () => {
    const names = Array.from({ length: 900 }, (_, number) => `node-${number}.cluster.cache.amazonaws.example`)
    await using server = await endpoint(configuration(1, ...names.map(name => `${name}|10.0.0.1|11211`)))
    expect(await elastiCache(server.address)()).toEqual(names.map(name => `${name}:11211`))
  })

  test.each<[string, string, RegExp]>([
    ['an error', 'ERROR\r\n', /does not understand/],
    ['no such configuration', 'END\r\n', /does not understand/],
    ['another name', configuration(1, ONE).replace('cluster', 'other'), /does not understand/],
    ['a length that is wrong', configuration(1, ONE).replace(/ (\d+)\r/, ' 3\r'), /does not understand/],
    ['no server', configuration(7), /names no server/],
    ['an empty body', 'CONFIG cluster 0 0\r\n\r\nEND\r\n', /has no version/],
    ['no version', configuration('soon', ONE), /has no version/],
    ['half a server', configuration(7, ONE, 'two.cache.example|10.0.0.2'), /without a name or a port/],
    ['a server that has no name yet', configuration(7, ONE, '||11211'), /without a name or a port/],
    ['too much', `CONFIG cluster 0 99999999\r\n${'1 '.repeat(600_000)}`, /too long/],
    ['too much in one line', 'C'.repeat(2_000_000), /too long/],
  ])('fails at %s', async (_, answer, message) => {
    await using server = await endpoint(answer)
    await expect(elastiCache(server.address)()).rejects.toThrow(message)
    await until(() => server.sockets.size === 0)
  })

  test('fails at an answer that is cut, wherever', async () => {
    const answer = configuration(12, ONE, TWO)
    let length = 0
    await using server = await ScriptedServer.start((_, socket) => socket.end(answer.slice(0, length)))
    for (; length < answer.length; length++) {
      await expect(elastiCache(server.address)()).rejects.toThrow(/before its answer was complete/)
    }
    expect(await elastiCache(server.address)()).toHaveLength(2)
  })

  test('fails where nobody answers, or listens', async () => {
    await using server = await ScriptedServer.start(() => {})
    await expect(elastiCache(server.address, { timeout: 30 })()).rejects.toThrow(/not answered within 30 ms/)
    await expect(elastiCache(NOBODY)()).rejects.toMatchObject({
      message: expect.stringMatching(/cannot be asked/),
      cause: { code: 'ECONNREFUSED' },
    })
  })

  test('in the middle of a change an older list is not believed, but in the end it is', async () => {
    const [older, newer] = [configuration(1, ONE), configuration(2, ONE, TWO)]
    await using server = await endpoint(older, newer, older, older, newer, older, older, older)
    const find = elastiCache(server.address)
    const lengths: number[] = []
    for (let turn = 0; turn < 8; turn++) lengths.push((await find()).length)
    expect(lengths).toEqual([1, 2, 2, 2, 2, 2, 2, 1])
  })

  test.each(['', 'a:0', 'a:99999', ':11211', 'a b:1', '[a]:1', 'user:word@a:1', 'memcached://a'])(
    'refuses `%s`',
    text => {
      expect(() => elastiCache(text)).toThrow(TypeError)
    },
  )

  test.skipIf(!hasMemcached)('a store finds its servers so, and what has changed', async () => {
    await using one = await Memcached.start()
    await using other = await Memcached.start()
    const entry = ({ port }: Memcached): string => `|127.0.0.1|${port}`
    let answer = configuration(1, entry(one))
    await using server = await ScriptedServer.start((_, socket) => socket.write(answer))
    await using store = new MemcachedStore({ servers: elastiCache(server.address), refresh: 0.02 })
    const addresses = async (): Promise<string[]> =>
      (await store.stats()).servers.map(({ address }) => address)
    expect(await addresses()).toEqual([one.address])
    answer = 'CONFIG cluster 0 10\r\n2'
    await until(() => server.lines.length > 3)
    expect(await addresses()).toEqual([one.address])
    answer = configuration(2, entry(one), entry(other))
    await until(async () => (await addresses()).length === 2)
  })
})
