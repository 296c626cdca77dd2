import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ConnectionLostError, type MemcachedStoreError } from '../../lib/errors.ts'
import type { MemjsNode } from '../../lib/memcached/memjs-node.ts'
import type { Version, WriteMode } from '../../lib/memcached/node.ts'
import { EXISTS, NOT_FOUND, OK, type Reply } from '../../lib/memcached/reply.ts'
import { MAX_BYTES, MAX_REQUESTS } from '../../lib/memcached/server.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { OPCODE } from '../support/frames.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { behave, MisbehavingServer, replyTo } from '../support/misbehaving-server.ts'
import { asked, nodeOf } from '../support/node.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
/** Milliseconds. Where all is to go well, a busy machine gets time. */
const PATIENCE = 5000

function create(address: string, timeout = PATIENCE): MemjsNode {
  const node = nodeOf(address, timeout)
  onTestFinished(() => node.close())
  return node
}

function write(
  node: MemjsNode,
  mode: WriteMode,
  key: string,
  value: string | Buffer,
  version: Version | null = null,
): Promise<Reply> {
  return asked(done => node.write(mode, { key, value, flags: 0, expiration: 0 }, version, done))
}

const read = (node: MemjsNode, key: string): Promise<Reply> => asked(done => node.get(key, done))

/** Nobody listens any more, and our side has noticed. */
async function lose(proxy: TcpProxy): Promise<void> {
  proxy.cutNow('fin')
  await until(() => proxy.open === 0)
  await proxy.refuse()
}

async function codeOf(result: Promise<Reply>): Promise<string | number> {
  return result.then(
    ({ status }) => status,
    (error: MemcachedStoreError) => error.code,
  )
}

describe.skipIf(!hasMemcached)('a server whose connection is lost', () => {
  test('requests wait for the next one, which is the first to be asked', async () => {
    await using memcached = await Memcached.start()
    await using proxy = await TcpProxy.start(memcached.address)
    const node = create(proxy.address)
    await write(node, 'set', 'key', 'before')
    await lose(proxy)
    const waiting = [read(node, 'key'), write(node, 'set', 'other', 'x'), read(node, 'other')]
    await proxy.pass()
    expect((await Promise.all(waiting)).map(({ status, text }) => [status, text])).toMatchObject([
      [OK, 'before'],
      [OK, ''],
      [OK, 'x'],
    ])
    // On each connection the server was asked first whether it is there.
    expect(proxy.greetings).toBe(2)
    expect(proxy.count(OPCODE.get, OPCODE.set)).toBe(4)
  })

  test('no write is risked on a connection that has not answered', async () => {
    const behaved = behave()
    await using server = await MisbehavingServer.start((request, socket) => {
      // As a proxy does whose server is away: it accepts, reads, and closes.
      if (server.connections > 1 && server.connections < 5) socket.destroy()
      else behaved(request, socket)
    })
    const node = create(server.address)
    await read(node, 'key')
    await server.hangUp()
    expect(await write(node, 'set', 'key', 'once')).toMatchObject({ status: OK })
    expect(server.connections).toBe(5)
    expect(server.requests.filter(({ opcode }) => opcode === OPCODE.set)).toHaveLength(1)
  })

  test('what was written is not written again: unknown; what had not left is written; no version moves on', async () => {
    await using memcached = await Memcached.start()
    const node = create(memcached.address, 20_000)
    const { version } = await write(node, 'set', 'conditional', 'before')
    await memcached.freeze()
    // More than the sockets of the system take.
    const value = Buffer.alloc(900_000, 'x')
    const plain = Array.from({ length: 40 }, (_, index) => codeOfLost(write(node, 'set', `${index}`, value)))
    const conditional = [
      write(node, 'replace', 'conditional', 'a', version),
      asked(done => node.delete('conditional', version, done)),
    ]
    await new Promise(setImmediate)
    await memcached.restart()
    const outcomes = await Promise.all(plain)
    const unknown = outcomes.indexOf(OK)
    expect(unknown).toBeGreaterThan(0)
    expect(unknown).toBeLessThan(30)
    expect(outcomes).toEqual([...Array(unknown).fill('lost'), ...Array(40 - unknown).fill(OK)])
    expect(await Promise.all(conditional)).toMatchObject([{ status: EXISTS }, { status: EXISTS }])
    expect(await read(node, 'conditional')).toMatchObject({ status: NOT_FOUND })
    // The last of 36 MB.
    expect((await read(node, '39')).text).toBe(value.toString())
  })

  test('a version from before a restart is not taken for the same number given since', async () => {
    await using memcached = await Memcached.start()
    const node = create(memcached.address)
    const { version } = await write(node, 'set', 'key', 'mine')
    await memcached.restart()
    const other = create(memcached.address)
    const theirs = (await write(other, 'set', 'key', 'theirs')).version
    expect(numberOf(theirs)).toEqual(numberOf(version))
    expect(await write(node, 'replace', 'key', 'mine again', version)).toMatchObject({ status: EXISTS })
    expect((await read(node, 'key')).text).toBe('theirs')
    expect(await write(node, 'replace', 'key', 'mine again', version)).toMatchObject({ status: EXISTS })
    expect((await read(other, 'key')).text).toBe('theirs')
  })

  test('each request is answered in its own async context', async () => {
    await using memcached = await Memcached.start()
    await using proxy = await TcpProxy.start(memcached.address)
    const node = create(proxy.address)
    const { version } = await write(node, 'set', 'key', 'a')
    await lose(proxy)
    const context = new AsyncLocalStorage<number>()
    const seen: unknown[] = []
    const all = Array.from({ length: 8 }, (_, index) =>
      context.run(
        index,
        () =>
          new Promise<void>(resolve => {
            const done = () => {
              seen[index] = context.getStore()
              resolve()
            }
            if (index % 2 === 0) node.delete('key', version, done)
            else node.get('key', done)
          }),
      ),
    )
    await proxy.pass()
    await Promise.all(all)
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  test('only so many requests wait, and so many bytes', async () => {
    await using memcached = await Memcached.start()
    await using proxy = await TcpProxy.start(memcached.address)
    const node = create(proxy.address, 20_000)
    await write(node, 'set', 'key', 'a')
    await lose(proxy)
    const value = Buffer.alloc(MIB)
    const writes = Array.from({ length: MAX_BYTES / MIB + 9 }, () => codeOf(write(node, 'set', 'key', value)))
    await proxy.pass()
    const outcomes = await Promise.all(writes)
    expect(outcomes.slice(-9)).toEqual(Array(9).fill('ERR_UNAVAILABLE'))
    expect(outcomes.slice(0, -9)).not.toContain('ERR_UNAVAILABLE')
    await lose(proxy)
    const reads = Array.from({ length: MAX_REQUESTS + 9 }, () => codeOf(read(node, 'key')))
    await proxy.pass()
    const codes = await Promise.all(reads)
    expect(codes.slice(-9)).toEqual(Array(9).fill('ERR_UNAVAILABLE'))
    expect(codes.slice(0, -9)).not.toContain('ERR_UNAVAILABLE')
  })

  test('what waits ends when the node is closed', async () => {
    await using memcached = await Memcached.start()
    const node = create(memcached.address, 60_000)
    await write(node, 'set', 'key', 'a')
    await memcached.kill()
    const waiting = [read(node, 'key'), write(node, 'set', 'key', 'b')].map(codeOf)
    await new Promise(setImmediate)
    await node.close()
    expect(await Promise.all(waiting)).toEqual(['ERR_CLOSED', 'ERR_CLOSED'])
  })

  test('what waits for a server that does not come back ends by its deadline', async () => {
    await using memcached = await Memcached.start()
    const node = create(memcached.address, 300)
    await write(node, 'set', 'key', 'a')
    await memcached.kill()
    const waiting = [read(node, 'key'), write(node, 'set', 'key', 'b')].map(codeOf)
    expect(await Promise.all(waiting)).toEqual(['ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'])
  })

  test('nor does one that accepts and is silent keep it longer', async () => {
    await using server = await MisbehavingServer.start()
    const node = create(server.address, 300)
    await read(node, 'key')
    server.script = () => {}
    await server.hangUp()
    const waiting = [read(node, 'key'), write(node, 'set', 'key', 'b')].map(codeOf)
    expect(await Promise.all(waiting)).toEqual(['ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'])
    expect(server.requests.filter(({ opcode }) => opcode === OPCODE.set)).toEqual([])
  })

  test('a server that closes after each answer is not besieged', async () => {
    await using server = await MisbehavingServer.start()
    const node = create(server.address, 300)
    await read(node, 'key')
    server.script = (request, socket) => socket.end(replyTo(request))
    const [before, began] = [server.connections, performance.now()]
    for (let turn = 0; turn < 40; turn++) await codeOf(read(node, 'key'))
    // The first goes at once, and then none within 10 ms of the one before.
    expect(server.connections - before).toBeLessThanOrEqual(2 + (performance.now() - began) / 10)
  })
})

describe.skipIf(!hasMemcached)('values of all sizes at once', () => {
  test('each arrives whole and in its turn', async () => {
    await using memcached = await Memcached.start()
    const node = create(memcached.address, 20_000)
    // Around the size from which on a value leaves as a buffer of its own, and that of a buffer.
    const sizes = [0, 1, 300, 16_383, 16_384, 16_385, 16_386, 21_800, 21_845, 65_536, 200_000, 900_000]
    const items = Array.from({ length: fewOrMany(100, 300) }, (_, index) => {
      const size = sizes[(index * 7) % sizes.length] as number
      const text = `${index} `.repeat(size).slice(0, size)
      // By turns of one byte for a character, of several, and bytes.
      const value = index % 3 === 0 ? Buffer.from(text) : index % 3 === 1 ? text : text.replaceAll('1', '漢')
      return { key: `size-${index}`, value: value.length > 900_000 ? value.slice(0, 300_000) : value }
    })
    const fit = items.filter(({ value }) => Buffer.byteLength(value) < 1_000_000)
    await Promise.all(fit.map(({ key, value }) => write(node, 'set', key, value)))
    for (const { key, value } of fit)
      expect((await read(node, key)).text === value.toString(), key).toBe(true)
  })
})

async function codeOfLost(result: Promise<Reply>): Promise<unknown> {
  return result.then(
    ({ status }) => status,
    (error: unknown) => (error instanceof ConnectionLostError ? 'lost' : error),
  )
}

/** The token itself, which the transport alone may read. */
function numberOf(version: Version | null): unknown {
  const { high, low } = version as unknown as { high: number; low: number }
  return { high, low }
}
