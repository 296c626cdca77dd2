import { inspect } from 'node:util'
import { MemoryStore } from 'express-session'
import { Client } from 'memjs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../lib/index.ts'
import { readOptions, type Settings } from '../lib/options.ts'

const VARIABLES = ['MEMCACHED_SERVERS', 'MEMCACHIER_SERVERS', 'MEMCACHE_SERVERS']

beforeEach(() => {
  for (const name of VARIABLES) vi.stubEnv(name, undefined)
})
afterEach(() => {
  vi.unstubAllEnvs()
})

function failure(options: unknown): Error {
  try {
    new MemcachedStore(options as MemcachedStoreOptions)
  } catch (error) {
    return error as Error
  }
  return expect.unreachable('the option was accepted')
}

const names = (options?: MemcachedStoreOptions): string[] =>
  readOptions(options).servers.map(({ name }) => name)

test('defaults', () => {
  const defaults: Partial<Settings> = {
    servers: [{ name: 'localhost:11211', host: 'localhost', port: 11211, tls: false }],
    client: undefined,
    tls: undefined,
    prefix: 'sess:',
    ttl: 86_400,
    touchAfter: undefined,
    onConflict: 'merge',
    tombstone: 300,
    onUnavailable: 'error',
    timeout: 500,
    maxItemSize: 1024 * 1024,
    backing: undefined,
    backingTimeout: 5000,
  }
  for (const options of [undefined, {}]) expect(readOptions(options)).toMatchObject(defaults)
  const given = Object.keys(defaults).map(name => [name, undefined])
  expect(readOptions(Object.fromEntries(given))).toMatchObject(defaults)
})

test('the default serializer is JSON, less __proto__', () => {
  const { serializer } = readOptions()
  expect(serializer.stringify({ cookie: {} } as never)).toBe('{"cookie":{}}')
  expect(serializer.parse('{"a":1,"__proto__":{"b":2}}')).toEqual({ a: 1 })
})

const client = (): Client => Client.create('localhost:1', { logger: { log() {} } })

const SECRET_A = 'a'.repeat(32)
const SECRET_B = 'é'.repeat(32)

const GOOD: { [K in keyof MemcachedStoreOptions]-?: MemcachedStoreOptions[K][] } = {
  servers: [
    'a',
    'a:1,b:2',
    ['a', 'b,c'],
    '/tmp/memcached.sock',
    'memcacheds://user:word@a',
    () => 'a',
    async () => ['a', 'b'],
  ],
  refresh: [0.001, 60, 86_400],
  client: [client()],
  protocol: ['auto', 'binary', 'text'],
  username: ['someone'],
  password: ['', 'secret'],
  tls: [true, false, { rejectUnauthorized: false }],
  prefix: ['', 'sess:', '~'.repeat(200)],
  ttl: [1, 0.001, Infinity, Number.MAX_VALUE, () => 1],
  touchAfter: [0, 0.5, 1e9],
  onConflict: ['merge', 'overwrite', 'reject', (_base, mine) => mine],
  tombstone: [0, 0.5, 86_400 * 365],
  onUnavailable: ['error', 'anonymous'],
  timeout: [1, 1.5, 2 ** 31 - 1],
  maxItemSize: [1024, 2 ** 30],
  serializer: [JSON, { stringify: () => '', parse: () => null }],
  userOf: [() => 'a', () => undefined],
  encryptionKeys: [[SECRET_A], [SECRET_A, SECRET_B]],
  compress: [true, false, {}, { threshold: 0 }, { threshold: undefined }],
  hashKeys: [true, false],
  allowPlain: [true, false],
  backing: [new MemoryStore(), { get() {}, set() {}, destroy() {} } as never],
  backingTimeout: [1, 5000, 2 ** 31 - 1],
}

describe('good values', () => {
  const cases = Object.entries(GOOD).flatMap(([name, values]) =>
    (values as unknown[]).map(value => [name, value] as const),
  )
  test.each(cases)('%s: %o', async (name, value) => {
    // One goes with the other.
    const login = name === 'username' ? { password: 'x' } : name === 'password' ? { username: 'x' } : {}
    const store = new MemcachedStore({ [name]: value, ...login })
    expect(store).toBeInstanceOf(MemcachedStore)
    if (name in readOptions() && name !== 'servers' && name !== 'tls') {
      expect(readOptions({ [name]: value, ...login })[name as keyof Settings]).toBe(value)
    }
    await store.close()
  })

  test('none at all', () => {
    new MemcachedStore()
    new MemcachedStore(undefined)
    new MemcachedStore({})
  })
})

/** Values that are wrong for almost any option. */
const STRANGE = [null, Number.NaN, 1n, Symbol('s'), new Date(0)]
const BAD: Record<keyof MemcachedStoreOptions, unknown[]> = {
  servers: [
    ...STRANGE,
    5,
    {},
    [5],
    [['a']],
    true,
    '',
    [],
    'a b',
    'http://a',
    'a:0',
    'a:99999',
    'a,a',
    '[::1',
  ],
  refresh: [...STRANGE, 0, -1, Infinity, 2 ** 31, '60', {}, () => 1, true],
  client: [...STRANGE, 5, 'a', {}, { perform: true }, [], () => {}],
  protocol: [...STRANGE, 5, '', 'ascii', 'Text', {}, true],
  username: [...STRANGE, 5, '', 'a\0b', {}, true],
  password: [...STRANGE, 5, 'a\0b', {}, true],
  tls: [null, Number.NaN, 1n, 5, 'true', [], () => {}],
  prefix: [...STRANGE, 5, {}, [], 'a b', 'a\n', 'é', '\x7f', 'a'.repeat(201)],
  ttl: [...STRANGE, 0, -1, -Infinity, '60', {}, [60], true],
  touchAfter: [...STRANGE, -1, Infinity, '60', {}, () => 1, true],
  onConflict: [...STRANGE, 5, '', 'Merge', 'constructor', {}, [], true],
  tombstone: [...STRANGE, -1, Infinity, '60', {}, () => 1, false],
  onUnavailable: [...STRANGE, 5, '', 'fail', {}, true],
  timeout: [...STRANGE, 0, 0.5, -1, Infinity, 2 ** 31, '500', {}, false],
  maxItemSize: [...STRANGE, 0, 1023, 1024.5, -2048, Infinity, 2 ** 53, '1m', {}],
  serializer: [...STRANGE, 5, 'json', {}, { stringify: () => '' }, { stringify: 1, parse: 1 }, [], () => {}],
  userOf: [...STRANGE, 5, 'a', {}, [], true],
  encryptionKeys: [
    ...STRANGE,
    5,
    '',
    'a'.repeat(31),
    [],
    [SECRET_A, SECRET_A],
    [SECRET_A, ''],
    [5],
    [[SECRET_A]],
    {},
    true,
  ],
  compress: [...STRANGE, 5, 'gzip', [], { threshold: -1 }, { threshold: '1' }, { level: 9 }, () => {}],
  hashKeys: [...STRANGE, 0, 'true', {}, []],
  allowPlain: [...STRANGE, 0, 'true', {}, []],
  backing: [...STRANGE, 5, 'a', {}, [], true, { get() {}, set() {} }],
  backingTimeout: [...STRANGE, 0, 0.5, -1, Infinity, 2 ** 31, '500', {}, false],
}
const SECRET = ['servers', 'client', 'backing', 'username', 'password', 'tls', 'encryptionKeys']

describe('a bad value is a TypeError that names option, expectation and value', () => {
  const cases = Object.entries(BAD).flatMap(([name, values]) => values.map(value => [name, value] as const))
  test.each(cases)('%s: %o', (name, value) => {
    const error = failure({ [name]: value })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toMatch(new RegExp(`^Expected \`${name}\` to be .{5,}, got .`, 's'))
    if (SECRET.includes(name)) return
    const shown = inspect(value, { depth: 0, maxStringLength: 80 })
    expect(error.message).toContain(`got \`${shown}\` (${typeof value})`)
  })

  test('a short encryption key says how to make one, and not what it was', () => {
    const { message } = failure({ encryptionKeys: 'hunter2' })
    expect(message).toMatch(/32 characters or more.*openssl rand -base64 32/)
    expect(message).not.toContain('hunter2')
  })

  test('an empty value says so', () => {
    expect(failure({ servers: '' }).message).toMatch(/none of them empty/)
    expect(failure({ servers: [] }).message).toMatch(/at least one address/)
  })

  test('a long value is cut short', () => {
    expect(failure({ prefix: 'é'.repeat(100_000) }).message.length).toBeLessThan(300)
  })
})

describe('an unknown option is a TypeError', () => {
  test.each(['server', 'Servers', 'constructor', 'toString', 'hosts', 'ttll'])('%s', name => {
    const error = failure({ [name]: undefined })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain(`\`${name}\``)
    for (const known of Object.keys(GOOD)) expect(error.message).toContain(known)
  })

  test('its value is not shown', () => {
    expect(failure({ pasword: 'hunter2' }).message).not.toContain('hunter2')
  })

  test.each([null, 5, 'localhost:11211', true])('options that are none: %o', options => {
    const error = failure(options)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toMatch(/^Expected `options` to be an object, got `/)
  })
})

describe('options that exclude or need one another', () => {
  test.each([
    ['servers', 'a'],
    ['username', 'someone'],
    ['password', 'hunter2'],
    ['tls', true],
  ])('client and %s', (name, value) => {
    const error = failure({ client: client(), [name]: value })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain(`either \`client\` or \`${name}\``)
    expect(error.message).not.toContain('hunter2')
  })

  test('client and undefined servers go together', () => {
    expect(readOptions({ client: client(), servers: undefined }).servers).toEqual([])
  })

  test.each([{ username: 'someone' }, { password: 'hunter2' }])('%o without the other', options => {
    const error = failure(options)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toMatch(/`username` and `password`/)
    expect(error.message).not.toMatch(/someone|hunter2/)
  })
})

describe('no secret is shown', () => {
  const SECRETS = /hunter2|s3cret|private key/

  test.each<[string, Record<string, unknown>]>([
    ['servers: spaces', { servers: 'user:hunter2@a b' }],
    ['servers: a bad port', { servers: 'user:hunter2@a:0' }],
    ['servers: a bad scheme', { servers: 'redis://user:hunter2@a' }],
    ['servers: a comma in the password', { servers: 'user:hunter2,s3cret@a' }],
    ['servers: bad percent', { servers: 'user:hunter2%@a' }],
    ['servers: twice', { servers: ['user:hunter2@a', 'user:s3cret@a'] }],
    ['servers: an object', { servers: { host: 'user:hunter2@a' } }],
    ['servers: a list with an object', { servers: ['user:hunter2@a', {}] }],
    ['password: a list', { password: ['hunter2'] }],
    ['password: an object', { username: 'a', password: { is: 'hunter2' } }],
    ['username: a list', { username: ['hunter2'] }],
    ['tls: a text', { tls: 'private key' }],
    ['tls: a list', { tls: ['private key'] }],
    ['client: an object', { client: { password: 'hunter2' } }],
  ])('in an error for %s', (_, options) => {
    const error = failure(options)
    expect(error).toBeInstanceOf(TypeError)
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(SECRETS)
  })

  test('in an inspected store', () => {
    const store = new MemcachedStore({ servers: 'user:hunter2@a', tls: { key: 'private key' } })
    const other = new MemcachedStore({ servers: 'a', username: 'user', password: 's3cret' })
    for (const one of [store, other]) {
      expect(inspect(one, { depth: 20, showHidden: true })).not.toMatch(SECRETS)
      expect(JSON.stringify(one)).not.toMatch(SECRETS)
    }
  })

  test('in an error of a server that cannot be reached', async () => {
    await using store = new MemcachedStore({ servers: 'user:hunter2@127.0.0.1:1' })
    const error = await store.get('a-session-id').catch((reason: Error) => reason)
    expect(error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(SECRETS)
    expect((error as Error).message).not.toContain('a-session-id')
  })
})

describe('servers', () => {
  test('the environment speaks where the option is silent, in this order', () => {
    vi.stubEnv('MEMCACHE_SERVERS', 'third')
    expect(names()).toEqual(['third:11211'])
    vi.stubEnv('MEMCACHIER_SERVERS', 'second:1,other:2')
    expect(names()).toEqual(['second:1', 'other:2'])
    vi.stubEnv('MEMCACHED_SERVERS', 'first')
    expect(names({ servers: undefined })).toEqual(['first:11211'])
    expect(names({ servers: 'option' })).toEqual(['option:11211'])
  })

  test('an empty variable says nothing', () => {
    for (const name of VARIABLES) vi.stubEnv(name, ' ')
    expect(names()).toEqual(['localhost:11211'])
    vi.stubEnv('MEMCACHE_SERVERS', 'third')
    expect(names()).toEqual(['third:11211'])
  })

  test('a bad variable is a TypeError, and shows no password', () => {
    vi.stubEnv('MEMCACHED_SERVERS', 'http://user:hunter2@a')
    const error = failure({})
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).not.toContain('hunter2')
  })

  test('a client of the application’s own hides the environment', () => {
    vi.stubEnv('MEMCACHED_SERVERS', 'first')
    expect(names({ client: client() })).toEqual([])
  })

  test('username, password and tls are for servers that do not say', () => {
    const servers = ['a', 'own:word@b', 'memcacheds://c', '/tmp/d.sock']
    const login = { username: 'user', password: 'word 2' }
    expect(readOptions({ servers, ...login }).servers).toMatchObject([
      { ...login, tls: false },
      { username: 'own', password: 'word', tls: false },
      { ...login, tls: true },
      { ...login, tls: false },
    ])
    expect(readOptions({ servers, tls: {} }).servers.every(({ tls }) => tls)).toBe(true)
    expect(readOptions({ servers, tls: false }).servers.map(({ tls }) => tls)).toEqual([
      false,
      false,
      true,
      false,
    ])
  })
})
