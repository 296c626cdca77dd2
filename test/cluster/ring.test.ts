import { spawnSync } from 'node:child_process'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Ring } from '../../lib/cluster/ring.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'

const COUNT = fewOrMany(2000, 10_000)

// Debian's python3-pylibmc is there for the system's Python only.
const PYTHON = '/usr/bin/python3'
const hasPylibmc = spawnSync(PYTHON, ['-c', 'import pylibmc']).status === 0
const noPylibmc = hasPylibmc ? '' : ' (skipped: no python3-pylibmc)'
const noServers = hasMemcached ? noPylibmc : ' (skipped: no memcached)'

function libmemcached(
  what: 'store' | 'place',
  servers: readonly string[],
  keys: readonly string[],
): number[] {
  const input = JSON.stringify({ servers, keys })
  const options = { input, encoding: 'utf8', maxBuffer: 1 << 26, timeout: 20_000 } as const
  const { status, stdout, stderr } = spawnSync(PYTHON, ['test/support/libmemcached.py', what], options)
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

function keysOf(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `sess:${i}`)
}

function homesOf(servers: readonly string[], keys: readonly string[]): number[] {
  const ring = new Ring(servers)
  return keys.map(key => ring.home(key))
}

function serversOf(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `10.0.0.${i}:11211`)
}

const addresses: fc.Arbitrary<string[]> = fc.uniqueArray(
  fc.oneof(
    fc.tuple(fc.domain(), fc.integer({ min: 1, max: 65535 })).map(([host, port]) => `${host}:${port}`),
    fc.tuple(fc.ipV6(), fc.integer({ min: 1, max: 65535 })).map(([host, port]) => `[${host}]:${port}`),
    fc.stringMatching(/^\/[a-z]{1,20}\.sock$/),
  ),
  { minLength: 1, maxLength: 6 },
)

describe('the ring agrees with libmemcached', () => {
  test.skipIf(noServers !== '')(
    `pylibmc stores ${COUNT} of ${COUNT} keys where we look${noServers}`,
    async () => {
      await using a = await Memcached.start()
      await using b = await Memcached.start()
      await using c = await Memcached.start()
      const servers = [a.address, b.address, c.address]
      const keys = keysOf(COUNT)
      const theirs = libmemcached('store', servers, keys)
      const ours = homesOf(servers, keys)
      expect(keys.filter((_, i) => ours[i] !== theirs[i])).toEqual([])
    },
  )

  test.skipIf(!hasPylibmc)(`on sockets, IPv6 and the default port${noPylibmc}`, () => {
    const servers = [
      '/run/a.sock',
      '/run/b.sock',
      '[::1]:11211',
      '[::1]:11212',
      'cache:11211',
      'cache:1',
      'old',
    ]
    const keys = keysOf(2000)
    expect(homesOf(servers, keys)).toEqual(libmemcached('place', servers, keys))
  })

  // With 25, 47, 50 and 100 servers it rounds 40 digests down to 39; over 100 it aborts.
  test.skipIf(!hasPylibmc).each([2, 3, 24, 25, 47, 49, 50, 100])(`with %i servers${noPylibmc}`, count => {
    const keys = keysOf(2000)
    expect(homesOf(serversOf(count), keys)).toEqual(libmemcached('place', serversOf(count), keys))
  })

  // Seen from libmemcached 1.0.18.
  const PLACED: [servers: string[], homes: Record<string, number>][] = [
    [
      ['10.0.0.1:11211', '10.0.0.2:11212', 'cache.example:11213'],
      { 'sess:a': 2, 'sess:d': 0, 'sess:0': 0, 'sess:9xM2kq': 0, 'sess:Zürich': 1, 'sess:': 2, x: 0 },
    ],
    [
      ['/run/memcached.sock', '[::1]:11212', '[fe80::1]:11211'],
      { 'sess:a': 0, 'sess:e': 1, 'sess:1': 2, 'sess:Zürich': 1, 'sess:': 1, x: 1 },
    ],
  ]
  test.each(PLACED)('as pinned: %j', (servers, homes) => {
    const keys = Object.keys(homes)
    expect(homesOf(servers, keys)).toEqual(Object.values(homes))
    if (hasPylibmc) expect(libmemcached('place', servers, keys)).toEqual(Object.values(homes))
  })
})

describe('home', () => {
  test('keys spread evenly', () => {
    const keys = keysOf(20_000)
    const homes = homesOf(serversOf(4), keys)
    for (let server = 0; server < 4; server++) {
      const share = homes.filter(home => home === server).length / keys.length
      expect(share).toBeGreaterThan(0.15)
      expect(share).toBeLessThan(0.35)
    }
  })

  test('a fourth server takes about a quarter of the keys and moves no other', () => {
    const keys = keysOf(20_000)
    const three = homesOf(serversOf(3), keys)
    const four = homesOf(serversOf(4), keys)
    const moved = keys.flatMap((_, i) => (three[i] === four[i] ? [] : [four[i]]))
    expect(moved.length / keys.length).toBeGreaterThan(0.15)
    expect(moved.length / keys.length).toBeLessThan(0.35)
    expect(new Set(moved)).toEqual(new Set([3]))
  })

  test('the order of the list does not matter', () => {
    fc.assert(
      fc.property(addresses, fc.string(), (servers, key) => {
        const reversed = servers.toReversed()
        expect(servers[new Ring(servers).home(key)]).toBe(reversed[new Ring(reversed).home(key)])
      }),
    )
  })

  test('nor where two servers share a point', () => {
    // md5 puts both on 2,519,084,465, and these keys just before it.
    const servers = ['cache537:11212', 'cache858:11212']
    const keys = ['sess:449', 'sess:450', 'sess:528']
    expect(homesOf(servers, keys)).toEqual([0, 0, 0])
    expect(homesOf(servers.toReversed(), keys)).toEqual([1, 1, 1])
  })

  test('a key that falls on a point belongs to its owner', () => {
    const servers = ['a:1', 'b:1', 'c:1']
    // A server's first points are the hashes of these very texts.
    for (const [index, server] of servers.entries()) {
      for (let i = 0; i < 40; i++) expect(new Ring(servers).home(`${server}-${i}`)).toBe(index)
    }
  })

  test('a host without a port is the same server as with 11211', () => {
    expect(homesOf(['a', 'b', '[::1]'], keysOf(500))).toEqual(
      homesOf(['a:11211', 'b:11211', '[::1]:11211'], keysOf(500)),
    )
  })
})

describe('what it refuses', () => {
  test('no server at all', () => {
    expect(() => new Ring([])).toThrow(TypeError)
  })

  test.each([
    [['a:1', 'b:1', 'a:1']],
    [['a', 'a:11211']],
    [['/a.sock', '/a.sock']],
    [['[::1]', '[::1]:11211']],
  ])('a server named twice: %j', servers => {
    expect(() => new Ring(servers)).toThrow(TypeError)
    expect(() => new Ring(servers)).toThrow(/to name each server once, got `\S+` twice/)
  })
})

describe('without md5 (FIPS)', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  })

  function refuseMd5(): void {
    vi.spyOn(crypto, 'hash').mockImplementation(() => {
      throw new Error('error:0308010C:digital envelope routines::unsupported')
    })
    syncBuiltinESMExports()
  }

  test('several servers are a clear error', () => {
    refuseMd5()
    expect(() => new Ring(['a', 'b'])).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_SUPPORTED', message: expect.stringContaining('md5') }),
    )
  })

  test('one server needs none', () => {
    refuseMd5()
    expect(new Ring(['a']).home('sess:1')).toBe(0)
  })
})
