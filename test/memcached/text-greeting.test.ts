import { describe, expect, test } from 'vitest'
import { MemcachedStoreError } from '../../lib/errors.ts'
import { parseServers, type ServerAddress } from '../../lib/memcached/address.ts'
import { TextGreeting } from '../../lib/memcached/text/text-greeting.ts'

function greet(server: string): TextGreeting {
  const [address] = parseServers(server) as [ServerAddress]
  return new TextGreeting(address)
}

/** What it makes of the last of these; of all before it wants more. */
function taken(greeting: TextGreeting, ...chunks: string[]): ReturnType<TextGreeting['take']> {
  const results = chunks.map(chunk => greeting.take(Buffer.from(chunk, 'latin1')))
  expect(results.slice(0, -1)).toEqual(chunks.slice(1).map(() => 'more'))
  return results.at(-1) as ReturnType<TextGreeting['take']>
}

const garbage = expect.objectContaining({ code: 'ERR_PROTOCOL' })
const wrongCredentials = expect.objectContaining({
  code: 'ERR_UNAVAILABLE',
  message: expect.stringContaining('refused the credentials'),
})
const UNAUTHENTICATED = 'CLIENT_ERROR unauthenticated\r\n'

describe('a greeting', () => {
  test('asks for the version, and takes it however it is cut', () => {
    const greeting = greet('cache')
    expect(String(greeting.opening)).toBe('version\r\n')
    expect(taken(greeting, ...'VERSION 1.6.45\r\n')).toBe('done')
    expect(greeting.version).toBe('1.6.45')
  })

  test('takes a proxy whose server is away, which tells no version', () => {
    const greeting = greet('cache')
    expect(taken(greeting, 'SERVER_ERROR Connection refused\r\n')).toBe('done')
    expect(greeting.version).toBe('')
  })

  test('takes no version that could not be shown', () => {
    for (const version of ['\x1b[2J', 'x'.repeat(101)]) {
      const greeting = greet('cache')
      expect(taken(greeting, `VERSION ${version}\r\n`)).toBe('done')
      expect(greeting.version).toBe('')
    }
  })

  test.each([
    ['another protocol', ['HTTP/1.1 400 Bad Request\r\n']],
    ['an error', ['ERROR\r\n']],
    ['a reply to nobody', ['VERSION 1.6.45\r\nEND\r\n']],
    ['a line without end', ['x'.repeat(512)]],
    ['a line without end, in parts', ['x'.repeat(511), 'x']],
    ['a line without end, all at once', ['x'.repeat(100_000)]],
  ])('%s is garbage', (_, chunks) => {
    expect(taken(greet('cache'), ...chunks)).toEqual(garbage)
  })
})

describe('a login over text', () => {
  test('is sent where the server wants it, and with its length in bytes', () => {
    const greeting = greet('shop:w%C3%B6rd@cache')
    expect(String(greeting.opening)).toBe('version\r\n')
    expect(String(taken(greeting, UNAUTHENTICATED))).toBe('set login 0 0 10\r\nshop wörd\r\n')
    expect(taken(greeting, 'STO', 'RED\r\n')).toBe('done')
  })

  test.each([
    ['CLIENT_ERROR authentication failure', wrongCredentials],
    ['SERVER_ERROR out of memory', wrongCredentials],
    ['ERROR', wrongCredentials],
    ['NOT_STORED', wrongCredentials],
    ['ERRORS', garbage],
    ['VERSION 1.6.45', garbage],
  ])('answered with %s', (line, error) => {
    const greeting = greet('shop:word@cache')
    greeting.take(Buffer.from(UNAUTHENTICATED))
    expect(taken(greeting, `${line}\r\n`)).toEqual(error)
  })

  test('that nobody has given: an error that names the options', () => {
    const error = taken(greet('cache'), UNAUTHENTICATED)
    expect(error).toBeInstanceOf(MemcachedStoreError)
    expect((error as Error).message).toMatch(/cache.*`username` and `password`/)
  })

  test.each(['mc1.dev.memcachier.com', 'MC1.MemCachier.com'])('comes first at MemCachier: %s', host => {
    const greeting = greet(`15F38e:word@${host}`)
    expect(String(greeting.opening)).toBe('set 15F38e 0 0 4\r\nword\r\n')
    expect(taken(greeting, 'STORED\r\n')).toBe('done')
  })

  test.each([
    ['a name that only ends so', '15F38e:word@evilmemcachier.com'],
    ['a name that only holds it', '15F38e:word@mc1.memcachier.com.example.com'],
    ['no password', 'mc1.memcachier.com'],
    ['a user that is no key', '15F%2038e:word@mc1.memcachier.com'],
    ['a unix socket', '/run/mc1.memcachier.com'],
  ])('does not come first with %s', (_, server) => {
    expect(String(greet(server).opening)).toBe('version\r\n')
  })
})
