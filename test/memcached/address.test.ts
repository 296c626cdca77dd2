import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defaultServers, parseServers, type ServerAddress } from '../../lib/memcached/address.ts'
import { codePoint } from '../support/code-point.ts'

function tcp(host: string, port: number, more: Partial<ServerAddress> = {}): object {
  return { name: `${host.includes(':') ? `[${host}]` : host}:${port}`, host, port, tls: false, ...more }
}

function socket(path: string, more: Partial<ServerAddress> = {}): object {
  return { name: path, path, tls: false, ...more }
}

const ann = { username: 'ann', password: 'pw' }

describe('parseServers', () => {
  test.each<[string | string[], object[]]>([
    ['localhost', [tcp('localhost', 11211)]],
    ['localhost:11212', [tcp('localhost', 11212)]],
    ['10.0.0.1:1', [tcp('10.0.0.1', 1)]],
    ['my_cache-1.example.:65535', [tcp('my_cache-1.example.', 65535)]],
    ['[::1]', [tcp('::1', 11211)]],
    ['[::1]:11212', [tcp('::1', 11212)]],
    ['[fe80::1%eth0]:11212', [tcp('fe80::1%eth0', 11212)]],
    ['ann:pw@cache', [tcp('cache', 11211, ann)]],
    ['ann:pw@cache:11212', [tcp('cache', 11212, ann)]],
    ['ann:pw@[::1]:11212', [tcp('::1', 11212, ann)]],
    ['ann:p:w@cache', [tcp('cache', 11211, { username: 'ann', password: 'p:w' })]],
    ['ann:p@w@cache', [tcp('cache', 11211, { username: 'ann', password: 'p@w' })]],
    ['ann:p/w#?@cache', [tcp('cache', 11211, { username: 'ann', password: 'p/w#?' })]],
    ['ann:@cache', [tcp('cache', 11211, { username: 'ann', password: '' })]],
    ['a%3An:p%2Cw%20%40%25@cache', [tcp('cache', 11211, { username: 'a:n', password: 'p,w @%' })]],
    ['/run/memcached.sock', [socket('/run/memcached.sock')]],
    ['unix:/run/memcached.sock', [socket('/run/memcached.sock')]],
    ['unix:///run/memcached.sock', [socket('/run/memcached.sock')]],
    ['/run/a@b:c.sock', [socket('/run/a@b:c.sock')]],
    ['memcached:///run/memcached.sock', [socket('/run/memcached.sock')]],
    ['memcached://cache', [tcp('cache', 11211)]],
    ['memcached://cache:11212/', [tcp('cache', 11212)]],
    ['memcached://ann:pw@cache:11212', [tcp('cache', 11212, ann)]],
    ['memcacheds://cache', [tcp('cache', 11211, { tls: true })]],
    ['MEMCACHEDS://ann:pw@[::1]:11212', [tcp('::1', 11212, { tls: true, ...ann })]],
    ['a,b:2', [tcp('a', 11211), tcp('b', 2)]],
    ['  a , b:2 ,', [tcp('a', 11211), tcp('b', 2)]],
    [
      ['a', ' b:2 '],
      [tcp('a', 11211), tcp('b', 2)],
    ],
    [
      ['a,/b.sock', 'ann:pw@c,'],
      [tcp('a', 11211), socket('/b.sock'), tcp('c', 11211, ann)],
    ],
  ])('reads %j', (servers, addresses) => {
    expect(parseServers(servers)).toEqual(addresses)
  })

  test.each<[string | string[], string]>([
    [[], 'at least one address, got an empty list'],
    ['', 'addresses, none of them empty, got ``'],
    [' ', 'addresses, none of them empty, got ``'],
    [',', 'addresses, none of them empty, got ``'],
    ['a,,b', 'addresses, none of them empty, got `` (entry 2 of 3)'],
    [',a', 'addresses, none of them empty, got `` (entry 1 of 2)'],
    ['a,,', 'addresses, none of them empty, got `` (entry 2 of 2)'],
    [['a', ''], 'addresses, none of them empty, got ``'],
    ['a b', 'addresses without spaces, separated by commas, got `a b`'],
    ['a :1', 'addresses without spaces, separated by commas, got `a :1`'],
    ['a:0', 'addresses with a port from 1 to 65535, got `a:0`'],
    ['a:65536', 'addresses with a port from 1 to 65535, got `a:65536`'],
    ['a:-1', 'addresses with a port from 1 to 65535, got `a:-1`'],
    ['a:1e3', 'addresses with a port from 1 to 65535, got `a:1e3`'],
    ['a:', 'addresses with a port from 1 to 65535, got `a:`'],
    ['a:b:1', 'addresses with a port from 1 to 65535, got `a:b:1`'],
    ['[::1]:x', 'addresses with a port from 1 to 65535, got `[::1]:x`'],
    [':11211', 'addresses with a host, got `:11211`'],
    ['ann:pw@', 'addresses with a host, got `***@`'],
    ['memcached://', 'addresses with a host, got `memcached://`'],
    ['memcached:///', 'addresses with a host or the path of a socket, got `memcached:///`'],
    ['[]', 'addresses with a host, got `[]`'],
    ['[cache]', 'addresses with a valid host, got `[cache]`'],
    ['cache/0', 'addresses with a valid host, got `cache/0`'],
    ['memcached://cache?x=1', 'addresses with a valid host, got `memcached://cache?x=1`'],
    ['::1', 'addresses with IPv6 in brackets, such as [::1]:11211, got `::1`'],
    ['redis://cache', 'memcached://… or memcacheds://…, got `redis://cache`'],
    ['unix://run/a.sock', 'memcached://… or memcacheds://…, got `unix://run/a.sock`'],
    ['ann@cache', 'addresses with user:password before the @, got `***@cache`'],
    [':pw@cache', 'addresses with user:password before the @, got `***@cache`'],
    ['@cache', 'addresses with user:password before the @, got `***@cache`'],
    ['ann:100%@cache', 'addresses with user and password percent-encoded, got `***@cache`'],
    ['ann:p%00w@cache', 'addresses with user and password without NUL, got `***@cache`'],
    ['a\0n:pw@cache', 'addresses with user and password without NUL, got `***@cache`'],
    ['http://ann:pw@cache', 'memcached://… or memcacheds://…, got `***@cache`'],
    ['ann:p,w@cache', 'addresses with a port from 1 to 65535, got `***` (entry 1 of 2)'],
    ['ann:password', 'addresses with a port from 1 to 65535, got `ann:***`'],
    ['memcached://ann:password', 'addresses with a port from 1 to 65535, got `memcached://ann:***`'],
    ['cache:112110', 'addresses with a port from 1 to 65535, got `cache:112110`'],
    ['a,ann:pw@b:x', 'addresses with a port from 1 to 65535, got `***@b:x` (entry 2 of 2)'],
    ['a,b,a', 'addresses of different servers, got `a:11211` twice'],
    [['a', 'memcacheds://ann:pw@a:11211'], 'addresses of different servers, got `a:11211` twice'],
    [['/a@b.sock', '/a@b.sock'], 'addresses of different servers, got `***@b.sock` twice'],
  ])('refuses %j', (servers, message) => {
    expect(() => parseServers(servers)).toThrow(new TypeError(`Expected \`servers\` to be ${message}`))
  })

  const hosts = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map(host => `[${host}]`),
  )
  const ports = fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined })
  const words = fc.string({ unit: codePoint, minLength: 1 }).filter(word => !word.includes('\0'))
  const credentials = fc.option(fc.record({ username: words, password: words }), { nil: undefined })

  test('gives back the parts an address was made of', () => {
    fc.assert(
      fc.property(
        hosts,
        ports,
        credentials,
        fc.constantFrom('', 'memcached', 'memcacheds'),
        (host, port, who, scheme) => {
          const access =
            who === undefined
              ? ''
              : `${encodeURIComponent(who.username)}:${encodeURIComponent(who.password).replaceAll('%3A', ':')}@`
          const text = `${scheme && `${scheme}://`}${access}${host}${port === undefined ? '' : `:${port}`}`
          expect(parseServers(text)).toEqual([
            {
              name: `${host}:${port ?? 11211}`,
              host: host.replace(/^\[|\]$/g, ''),
              port: port ?? 11211,
              tls: scheme === 'memcacheds',
              ...who,
            },
          ])
        },
      ),
    )
  })

  test('no message holds a user or password, however badly written', () => {
    const secret = fc.string({
      unit: fc.constantFrom('SECRET', '@', ',', ':', '/', ' ', '%', '#', '\n', '[', '\\', 'x'),
    })
    const wrong = fc.constantFrom(':x', ':0', '/x', ' x', '?', '', ',,')
    let refused = 0
    fc.assert(
      fc.property(
        secret,
        secret,
        wrong,
        fc.constantFrom('', 'memcached://', 'x://'),
        (user, password, end, scheme) => {
          try {
            parseServers(`a,${scheme}u${user}:${password}SECRET@cache${end}`)
          } catch (error) {
            refused++
            expect(error).toBeInstanceOf(TypeError)
            expect((error as Error).message).not.toContain('SECRET')
          }
        },
      ),
      { numRuns: 1000 },
    )
    expect(refused).toBeGreaterThan(100)
  })
})

describe('defaultServers', () => {
  test.each<[NodeJS.ProcessEnv, string]>([
    [{ MEMCACHED_SERVERS: 'a', MEMCACHIER_SERVERS: 'b', MEMCACHE_SERVERS: 'c' }, 'a'],
    [{ MEMCACHED_SERVERS: '', MEMCACHIER_SERVERS: 'b', MEMCACHE_SERVERS: 'c' }, 'b'],
    [{ MEMCACHED_SERVERS: ' ', MEMCACHE_SERVERS: 'c' }, 'c'],
    [{}, 'localhost:11211'],
  ])('of %j is %s', (env, servers) => {
    expect(defaultServers(env)).toBe(servers)
  })
})
