import { expect, onTestFinished, test } from 'vitest'
import { ConnectionLostError, MemcachedStoreError } from '../../lib/errors.ts'
import type { Item, MemcachedNode, ReplyCallback, Version, WriteMode } from '../../lib/memcached/node.ts'
import { EXISTS, NOT_FOUND, OK } from '../../lib/memcached/reply.ts'
import { asked } from '../support/node.ts'

/** A node, and what may befall its server. It need not be a real one, nor time the real one. */
export interface NodeUnderTest {
  readonly node: MemcachedNode
  /** Milliseconds: the deadline of each of its requests. */
  readonly timeout: number
  /** Ends the node's connection, while nothing is on its way. What is stored stays, and the node has noticed. */
  disconnect(): Promise<void>
  /** Starts the server again, empty: its versions begin anew. The node has noticed. */
  restart(): Promise<void>
  /** From now on the server cannot be reached; it has held nothing up, and nothing was on its way. */
  stop(): Promise<void>
  /** The next write is carried out, and the connection breaks before its reply has come. */
  loseNextReply(): void
  /** Lets so many seconds go by, as the server counts them. */
  elapse(seconds: number): Promise<void>
  /** Closes the node, too. */
  end(): Promise<void>
}

const KEY = 'sess:one'
const item = (value: string | Buffer, more: Partial<Item> = {}): Item => ({
  key: KEY,
  value,
  flags: 0,
  expiration: 0,
  ...more,
})

/** What {@link MemcachedNode} promises. Each test gets a node of its own, of an empty server. */
export function nodeContract(make: () => Promise<NodeUnderTest>): void {
  async function setUp() {
    const made = await make()
    onTestFinished(() => made.end())
    const { node } = made
    const get = (key = KEY) => asked(done => node.get(key, done))
    const write = (mode: WriteMode, one: Item, version: Version | null = null) =>
      asked(done => node.write(mode, one, version, done))
    return {
      ...made,
      get,
      write,
      /** With the version, where another look is needed for that. */
      written: async (mode: WriteMode, one: Item) => {
        const reply = await write(mode, one)
        return reply.tellsVersion ? reply : await get(one.key)
      },
      remove: (version: Version | null = null) => asked(done => node.delete(KEY, version, done)),
    }
  }

  test('what is not there is not found', async () => {
    const { get, write, remove } = await setUp()
    expect(await get()).toMatchObject({ status: NOT_FOUND })
    expect(await write('replace', item('a'))).toMatchObject({ status: NOT_FOUND })
    expect(await remove()).toMatchObject({ status: NOT_FOUND })
    expect(await get()).toMatchObject({ status: NOT_FOUND })
  })

  test.each(['set', 'add'] as const)('%s stores what get gives', async mode => {
    const { get, write } = await setUp()
    const written = await write(mode, item('Zoë 漢字 🦜', { flags: 0xfedc_ba98 }))
    expect(written.status).toBe(OK)
    const read = await get()
    expect(read).toMatchObject({ status: OK, flags: 0xfedc_ba98, text: 'Zoë 漢字 🦜' })
    expect(await get('sess:other')).toMatchObject({ status: NOT_FOUND })
  })

  test.each([
    ['a byte', Buffer.from('x')],
    ['a text', Buffer.from('{"cookie":{}}')],
    ['a large one', Buffer.alloc(900_000, 'large')],
  ])('a value may be a Buffer: %s', async (_, value) => {
    const { get, write } = await setUp()
    expect(await write('set', item(value))).toMatchObject({ status: OK })
    expect((await get()).text).toBe(value.toString())
  })

  test.each([
    ['empty', ''],
    ['of line ends', 'a\r\nEND\r\n'],
    ['of 900,000 bytes', 'é'.repeat(450_000)],
  ])('a text %s', async (_, value) => {
    const { get, write } = await setUp()
    await write('set', item(value))
    expect((await get()).text).toBe(value)
  })

  test('what is there: add leaves it, set and replace take its place, with their flags', async () => {
    const { get, write } = await setUp()
    await write('set', item('a', { flags: 1 }))
    expect(await write('add', item('b', { flags: 2 }))).toMatchObject({ status: EXISTS })
    expect(await get()).toMatchObject({ text: 'a', flags: 1 })
    expect(await write('replace', item('c', { flags: 3 }))).toMatchObject({ status: OK })
    expect(await get()).toMatchObject({ text: 'c', flags: 3 })
    expect(await write('set', item('d'))).toMatchObject({ status: OK })
    expect(await get()).toMatchObject({ text: 'd', flags: 0 })
  })

  test.each(['set', 'replace'] as const)('%s on a version: once', async mode => {
    const { get, write } = await setUp()
    await write('set', item('a'))
    const { version } = await get()
    expect(await write(mode, item('b'), version)).toMatchObject({ status: OK })
    expect(await write(mode, item('c'), version)).toMatchObject({ status: EXISTS })
    expect((await get()).text).toBe('b')
  })

  test.each(['set', 'add', 'replace'] as const)(
    '%s gives the version of what it wrote, or another look does',
    async mode => {
      const { get, write, written } = await setUp()
      if (mode === 'replace') await write('set', item('before'))
      const { version } = await written(mode, item('a'))
      expect(await write('replace', item('b'), version)).toMatchObject({ status: OK })
      expect((await get()).text).toBe('b')
    },
  )

  test('a version does not come back with the same value', async () => {
    const { get, write } = await setUp()
    await write('set', item('a'))
    const { version } = await get()
    await write('set', item('b'))
    await write('set', item('a'))
    expect(await write('replace', item('c'), version)).toMatchObject({ status: EXISTS })
  })

  test.each(['set', 'replace'] as const)('%s on the version of what is gone is not found', async mode => {
    const { get, write, remove, written } = await setUp()
    const { version } = await written('set', item('a'))
    await remove()
    expect(await write(mode, item('b'), version)).toMatchObject({ status: NOT_FOUND })
    expect(await get()).toMatchObject({ status: NOT_FOUND })
  })

  test('of many writes on one version, one succeeds', async () => {
    const { get, write, written } = await setUp()
    const { version } = await written('set', item('a'))
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) => write('replace', item(`${index}`), version)),
    )
    const statuses = replies.map(({ status }) => status)
    expect(statuses.filter(status => status === OK)).toHaveLength(1)
    expect(statuses.filter(status => status === EXISTS)).toHaveLength(19)
    expect((await get()).text).toBe(`${statuses.indexOf(OK)}`)
  })

  test('delete deletes, and on a version only that', async () => {
    const { get, write, remove, written } = await setUp()
    const { version: old } = await written('set', item('a'))
    const { version } = await written('set', item('b'))
    expect(await remove(old)).toMatchObject({ status: EXISTS })
    expect((await get()).text).toBe('b')
    expect(await remove(version)).toMatchObject({ status: OK })
    expect(await get()).toMatchObject({ status: NOT_FOUND })
    expect(await remove(version)).toMatchObject({ status: NOT_FOUND })
    await write('set', item('c'))
    expect(await remove()).toMatchObject({ status: OK })
    expect(await get()).toMatchObject({ status: NOT_FOUND })
  })

  test('an item expires, and not before; 0 never does; a write renews', async () => {
    const { get, write, elapse } = await setUp()
    await write('set', item('a', { expiration: 2 }))
    await write('set', item('c', { key: 'sess:never' }))
    await write('set', item('d', { key: 'sess:unix', expiration: 2_147_483_647 }))
    expect((await get()).status).toBe(OK)
    expect((await write('replace', item('a', { expiration: 1000 }))).status).toBe(OK)
    await elapse(3)
    expect((await get()).text).toBe('a')
    expect((await write('replace', item('a', { expiration: 1 }))).status).toBe(OK)
    await elapse(2)
    expect((await get()).status).toBe(NOT_FOUND)
    expect((await write('add', item('b'))).status).toBe(OK)
    expect((await get('sess:never')).text).toBe('c')
    expect((await get('sess:unix')).text).toBe('d')
  })

  test('a version of another connection is answered EXISTS, and nothing is written', async () => {
    const { get, write, remove, disconnect, written } = await setUp()
    const { version } = await written('set', item('a'))
    await disconnect()
    // The first one finds no connection, the next ones another.
    expect(await write('replace', item('b'), version)).toMatchObject({ status: EXISTS })
    expect((await get()).text).toBe('a')
    expect(await write('set', item('c'), version)).toMatchObject({ status: EXISTS })
    expect(await remove(version)).toMatchObject({ status: EXISTS })
    const read = await get()
    expect(read.text).toBe('a')
    expect(await write('replace', item('d'), read.version)).toMatchObject({ status: OK })
    expect((await get()).text).toBe('d')
  })

  test('nor is one from before a restart, though the server begins to count anew', async () => {
    const { get, write, remove, restart, written } = await setUp()
    const { version } = await written('set', item('mine'))
    await restart()
    expect(await write('replace', item('never'), version)).toMatchObject({ status: EXISTS })
    expect(await get()).toMatchObject({ status: NOT_FOUND })
    expect(await write('set', item('theirs'))).toMatchObject({ status: OK })
    expect(await write('replace', item('never'), version)).toMatchObject({ status: EXISTS })
    expect(await remove(version)).toMatchObject({ status: EXISTS })
    expect((await get()).text).toBe('theirs')
  })

  test('a reply that is lost leaves it open what became of the write, and says how long one may find out', async () => {
    const { get, write, loseNextReply, timeout } = await setUp()
    await write('set', item('a'))
    loseNextReply()
    const error = await write('set', item('b')).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConnectionLostError)
    const { code, remaining } = error as ConnectionLostError
    expect(code).toBe('ERR_UNAVAILABLE')
    expect(remaining).toBeGreaterThan(0)
    expect(remaining).toBeLessThanOrEqual(2 * timeout)
    expect((await get()).text).toBe('b')
  })

  test('while the server is away everything ends with an error', async () => {
    const { get, write, remove, stop } = await setUp()
    await write('set', item('a'))
    await stop()
    for (let turn = 0; turn < 3; turn++) {
      const outcomes = await Promise.allSettled([get(), write('set', item('b')), remove()])
      for (const outcome of outcomes) {
        const { reason } = outcome as PromiseRejectedResult
        expect(reason).toBeInstanceOf(MemcachedStoreError)
        expect(['ERR_UNAVAILABLE', 'ERR_TIMEOUT']).toContain(reason.code)
      }
    }
  })

  test('each of many requests gets its own reply', async () => {
    const { get, write } = await setUp()
    const keys = Array.from({ length: 500 }, (_, index) => `sess:${index}`)
    await Promise.all(keys.map(key => write('set', item(key, { key }))))
    const replies = await Promise.all(keys.map(get))
    expect(replies.map(({ text }) => text)).toEqual(keys)
  })

  test('callbacks come once, and never before the call has returned', async () => {
    const { node, disconnect, stop, get } = await setUp()
    const calls: number[] = []
    const ask = (): Promise<unknown> => {
      let version: Version | null = null
      const requests: ((done: ReplyCallback) => void)[] = [
        done => node.write('set', item('a'), null, done),
        done => node.get(KEY, done),
        done => node.write('add', item('b'), null, done),
        done => node.write('replace', item('b'), version, done),
        done => node.delete(KEY, version, done),
        // Of no connection there is.
        done => node.write('replace', item('c'), { life: {} }, done),
        done => node.delete(KEY, { life: {} }, done),
      ]
      return Promise.all(
        requests.map(
          send =>
            new Promise<void>(resolve => {
              const number = calls.push(0) - 1
              let hasReturned = false
              send((_error, reply) => {
                calls[number] = (calls[number] as number) + 1
                expect(hasReturned).toBe(true)
                version ??= reply?.version ?? null
                resolve()
              })
              hasReturned = true
            }),
        ),
      )
    }
    await ask()
    await disconnect()
    await ask()
    await get()
    await stop()
    await ask()
    await ask()
    await node.close()
    await ask()
    expect(calls).toEqual(Array(35).fill(1))
  })

  test('close ends what is on its way, and what comes later', async () => {
    const { node, get, write, remove, written } = await setUp()
    const { version } = await written('set', item('a'))
    const ask = () => Promise.allSettled([get(), write('set', item('b'), version), remove()])
    const onTheirWay = ask()
    await node.close()
    const late = await ask()
    await node.close()
    const outcomes = [...(await onTheirWay), ...late]
    for (const outcome of outcomes) {
      const { reason } = outcome as PromiseRejectedResult
      expect(reason).toMatchObject({ name: 'MemcachedStoreError', code: 'ERR_CLOSED' })
    }
  })
}
