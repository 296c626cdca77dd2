import { describe, expect, test } from 'vitest'
import { dns } from '../../lib/discovery/index.ts'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { until } from '../support/until.ts'
import { type Answer, NameServer } from './name-server.ts'

const NAME = 'memcached.default.svc.cluster.local'

function asked({ address }: NameServer, endpoint = `${NAME}:11212`): () => Promise<string[]> {
  return dns(endpoint, { nameServers: [address], timeout: 200 })
}

describe('dns', () => {
  test.each<[string, Answer, string[]]>([
    ['every address, sorted', ['10.0.0.2', '10.0.0.1'], ['10.0.0.1:11212', '10.0.0.2:11212']],
    ['each once', ['10.0.0.1', '10.0.0.1'], ['10.0.0.1:11212']],
    ['IPv6 where there is no IPv4', ['fd00::2', 'fd00::1'], ['[fd00::1]:11212', '[fd00::2]:11212']],
    ['IPv4 of servers that have both', ['fd00::1', '10.0.0.1'], ['10.0.0.1:11212']],
  ])('%s', async (_, answer, servers) => {
    await using server = await NameServer.start(answer)
    expect(await asked(server)()).toEqual(servers)
  })

  test('more than fit into a datagram', async () => {
    const addresses = Array.from({ length: 900 }, (_, n) => `10.0.${Math.floor(n / 250)}.${n % 250}`)
    await using server = await NameServer.start(addresses)
    expect(await asked(server)()).toEqual(addresses.sort().map(address => `${address}:11212`))
  })

  test.each<[string, Answer]>([
    ['no such name', 'no such name'],
    ['no address', []],
    ['a name server that is broken', 'broken'],
    ['one that is silent', 'silent'],
    ['one that gives half an answer', 'cut'],
  ])('fails at %s', async (_, answer) => {
    await using server = await NameServer.start(answer)
    await expect(asked(server)()).rejects.toThrow()
  })

  test('the port is 11211 unless given', async () => {
    await using server = await NameServer.start(['10.0.0.1'])
    expect(await asked(server, NAME)()).toEqual(['10.0.0.1:11211'])
  })

  test('refuses what is no endpoint', () => {
    expect(() => dns('a:b')).toThrow(TypeError)
  })

  test('a store finds its servers so, and keeps them while there is no answer', async () => {
    const memcached = await EmbeddedMemcached.start()
    await using server = await NameServer.start(['127.0.0.1'])
    const port = memcached.address.split(':').at(-1)
    await using store = new MemcachedStore({ servers: asked(server, `${NAME}:${port}`), refresh: 0.02 })
    const addresses = async (): Promise<string[]> =>
      (await store.stats()).servers.map(({ address }) => address)
    expect(await addresses()).toEqual([memcached.address])
    server.answer = []
    const before = server.asked
    await until(() => server.asked > before + 4)
    expect(await addresses()).toEqual([memcached.address])
    server.answer = ['127.0.0.1', '127.0.0.2']
    await until(async () => (await addresses()).length === 2)
    await memcached.stop()
  })
})
