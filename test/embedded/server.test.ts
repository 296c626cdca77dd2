import { once } from 'node:events'
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EmbeddedMemcached, type EmbeddedMemcachedOptions } from '../../lib/embedded/index.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/until.ts'
import { Peer, request, uint32 } from './peer.ts'

const [GET, SET, NOOP] = [0x00, 0x01, 0x0a]
const plain = uint32(0, 0)

let server: EmbeddedMemcached
let peers: Peer[] = []
beforeEach(async () => {
  server = await EmbeddedMemcached.start({ port: await freePort() })
})
afterEach(async () => {
  for (const peer of peers) peer.close()
  peers = []
  await server.stop()
})

async function connected(): Promise<Peer> {
  const peer = await Peer.connect(server.port)
  peers.push(peer)
  return peer
}

async function statistics(): Promise<Record<string, number>> {
  const peer = await connected()
  peer.send('stats\r\n')
  const lines = await peer.lines()
  peer.close()
  return Object.fromEntries(lines.map(line => [line.split(' ')[1], Number(line.split(' ')[2])]))
}

describe('start and stop', () => {
  test('listens on loopback, on a port of its own', async () => {
    await using one = await EmbeddedMemcached.start()
    expect(one.address).toBe(`127.0.0.1:${one.port}`)
    expect(one.port).toBeGreaterThan(0)
  })

  test('stop closes the port and every connection, and may be called again', async () => {
    const idle = await connected()
    const busy = await connected()
    busy.send(request(SET, { key: 'a', value: 'half', extras: plain, total: 1000 }))
    await server.stop()
    await Promise.all([idle.rest(), busy.rest(), server.stop()])
    const [error] = await once(connect(server.port, '127.0.0.1'), 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('starts again on the same port, empty', async () => {
    await (await connected()).ask(SET, { key: 'a', value: 'x', extras: plain })
    const { port } = server
    await server.stop()
    server = await EmbeddedMemcached.start({ port })
    expect(server.port).toBe(port)
    expect((await (await connected()).ask(GET, { key: 'a' })).status).toBe(1)
  })

  test('stops at the end of its scope', async () => {
    const other = await EmbeddedMemcached.start()
    const peer = await Peer.connect(other.port)
    await other[Symbol.asyncDispose]()
    await peer.rest()
  })

  test('a port in use is an error', async () => {
    await expect(EmbeddedMemcached.start({ port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })

  test.each([
    [{ port: 65_536 }, 'Expected `port` to be a whole number from 0 to 65535, got `65536` (number)'],
    [{ port: '1' }, "Expected `port` to be a whole number from 0 to 65535, got `'1'` (string)"],
    [{ host: '' }, "Expected `host` to be a host name or address, got `''` (string)"],
    [{ maxMemory: 1.5 }, 'Expected `maxMemory` to be a whole number from 1024'],
    [
      { maxItemSize: 0 },
      'Expected `maxItemSize` to be a whole number from 1024 to 1073741824, got `0` (number)',
    ],
    [{ memory: 1 }, 'Unknown option `memory`'],
  ])('%j is refused', async (options, message) => {
    const starting = EmbeddedMemcached.start(options as EmbeddedMemcachedOptions)
    await expect(starting).rejects.toThrow(TypeError)
    await expect(EmbeddedMemcached.start(options as EmbeddedMemcachedOptions)).rejects.toThrow(message)
  })

  test('takes limits and reports them', async () => {
    await server.stop()
    server = await EmbeddedMemcached.start({ maxMemory: 100_000, maxItemSize: 20_000 })
    const peer = await connected()
    const status = async (length: number) =>
      (await peer.ask(SET, { key: 'k', value: 'x'.repeat(length), extras: plain })).status
    expect(await status(20_000 - 60)).toBe(0)
    expect(await status(20_000 - 59)).toBe(3)
    for (let i = 0; i < 20; i++) {
      await peer.ask(SET, { key: `k${i}`, value: 'x'.repeat(9_000), extras: plain })
    }
    const stats = await statistics()
    expect(stats).toMatchObject({
      limit_maxbytes: 100_000,
      curr_items: 11,
      evictions: 9,
      bytes: 11 * 9_062 - 1,
    })
  })
})

describe('bad clients', () => {
  test.each([
    ['a set of 4 GiB', request(SET, { key: 'a', extras: plain, total: 0xffffffff })],
    ['a set of 2 GiB', request(SET, { key: 'a', extras: plain, total: 0x7fffffff })],
    ['an unknown command of 2 GiB', request(0x55, { total: 0x7fffffff })],
    ['a text value of 2 GiB', Buffer.from('set a 0 0 2000000000\r\n')],
    ['an endless get', Buffer.from(`get ${'k '.repeat(100_000)}`)],
  ])('%s closes the connection', async (_, bytes) => {
    const peer = await connected()
    peer.send(bytes)
    await peer.rest()
    expect((await (await connected()).ask(NOOP)).status).toBe(0)
  })

  test('half a request holds up nobody, and nothing stays of it', async () => {
    const half = await connected()
    half.send(request(SET, { key: 'a', value: 'x'.repeat(1000), extras: plain }).subarray(0, 500))
    const other = await connected()
    expect((await other.ask(GET, { key: 'a' })).status).toBe(1)
    half.close()
    await until(async () => (await statistics()).curr_connections === 2)
    expect((await other.ask(GET, { key: 'a' })).status).toBe(1)
  })

  test('replies reach a client that closes its side after asking', async () => {
    const peer = await connected()
    peer.send(request(SET, { key: 'a', value: 'x', extras: plain }), request(GET, { key: 'a' }))
    peer.socket.end()
    expect((await peer.frame()).status).toBe(0)
    expect((await peer.frame()).value).toBe('x')
    await peer.rest()
  })

  test('who does not read his replies waits, and costs no memory', async () => {
    const value = Buffer.alloc(1_000_000, 'x')
    await (await connected()).ask(SET, { key: 'big', value, extras: plain })
    const gets = Array.from({ length: 100 }, () => request(GET, { key: 'big' }))
    const sets = Array.from({ length: 60 }, () => request(0x11, { key: 'other', value, extras: plain }))
    const lazy = await connected()
    lazy.socket.pause()
    lazy.send(...gets, ...sets, request(NOOP))
    const lazyText = await connected()
    lazyText.socket.pause()
    lazyText.send(`get ${'big '.repeat(100)}\r\n`)

    // The server comes to rest: nothing moves any more but these statistics.
    let [read, rounds] = [0, 0]
    await until(async () => {
      const { bytes_read = 0 } = await statistics()
      rounds = bytes_read - read < 1000 ? rounds + 1 : 0
      read = bytes_read
      return rounds === 20
    })
    // Of 60 MB asked and 200 MB to answer, no more than the sockets and the kernel hold.
    const { bytes_read, bytes_written } = await statistics()
    expect(bytes_read).toBeLessThan(30_000_000)
    expect(bytes_written).toBeLessThan(30_000_000)

    lazy.socket.resume()
    for (const _ of gets) expect((await lazy.frame()).value).toHaveLength(1_000_000)
    expect((await lazy.frame()).opcode).toBe(NOOP)
    lazyText.socket.resume()
    expect(await lazyText.lines()).toHaveLength(201)
  })

  test('one metadump at a time; a client that leaves in the middle ends its own', async () => {
    const writer = await connected()
    const count = 20_000
    for (let i = 0; i < count; i++) {
      writer.send(request(0x11, { key: `${i}`.padEnd(250, '/'), value: 'x', extras: plain }))
    }
    await writer.ask(NOOP)
    const lazy = await connected()
    lazy.socket.pause()
    lazy.send('lru_crawler metadump all\r\n')
    const other = await connected()
    const dumped = async () => {
      other.send('lru_crawler metadump hash\r\n')
      const first = await other.line()
      return first.startsWith('BUSY') ? 'busy' : (await other.lines()).length - 1
    }
    await until(async () => (await dumped()) === 'busy')
    // An item moves meanwhile: it is neither missed nor doubled.
    await writer.ask(GET, { key: '0'.padEnd(250, '/') })
    lazy.socket.resume()
    const lines = await lazy.lines()
    expect([lines.length, new Set(lines).size]).toEqual([count + 2, count + 2])

    lazy.socket.pause()
    lazy.send('lru_crawler metadump all\r\n')
    await until(async () => (await dumped()) === 'busy')
    lazy.close()
    await until(async () => (await dumped()) === count)
  })

  test('many connections at once', async () => {
    const many = await Promise.all(Array.from({ length: fewOrMany(100, 500) }, connected))
    const answers = await Promise.all(
      many.map(async (peer, i) => {
        await peer.ask(SET, { key: `k${i}`, value: `${i}`, extras: plain })
        return (await peer.ask(GET, { key: `k${i}` })).value
      }),
    )
    expect(answers).toEqual(many.map((_, i) => `${i}`))
    for (const peer of many) peer.close()
    await until(async () => (await statistics()).curr_connections === 1)
  })

  test('no bytes in no pieces bring it down', async () => {
    const witness = await connected()
    const binary = fc
      .record({
        opcode: fc.nat(0x30),
        key: fc.string({ maxLength: 300 }),
        extras: fc.oneof(
          fc.constantFrom(0, 4, 8, 20).map(length => Buffer.alloc(length)),
          fc.uint8Array({ maxLength: 30 }).map(Buffer.from),
        ),
        value: fc.string({ maxLength: 50 }),
        cas: fc.bigInt(0n, 3n),
        total: fc.option(fc.nat(0xffffffff), { nil: undefined, freq: 20 }),
      })
      .map(({ opcode, total, ...parts }) =>
        request(opcode, total === undefined ? parts : { ...parts, total }),
      )
    const word = fc.oneof(
      fc.constantFrom(
        ...'get gets set add replace cas delete touch stats settings version noreply'.split(' '),
      ),
      fc.constantFrom(...'lru_crawler metadump all hash a b 0 1 3 -1 99999999999 abc quit'.split(' ')),
      fc.string({ maxLength: 8 }),
    )
    const line = fc
      .array(word, { maxLength: 7 })
      .map(words => Buffer.from(`${words.join(' ')}\r\n`, 'latin1'))
    const noise = fc.uint8Array({ maxLength: 100 }).map(bytes => Buffer.from(bytes))
    const stream = fc.oneof(
      fc.array(fc.oneof({ weight: 9, arbitrary: binary }, noise), { maxLength: 20 }),
      fc.array(fc.oneof({ weight: 9, arbitrary: line }, noise), { maxLength: 20 }),
    )
    await fc.assert(
      fc.asyncProperty(stream, fc.array(fc.nat(200), { maxLength: 10 }), async (parts, cuts) => {
        const peer = await connected()
        let bytes = Buffer.concat(parts)
        for (const cut of cuts) {
          peer.send(bytes.subarray(0, cut))
          bytes = bytes.subarray(cut)
          // Another client's round trip: the server has seen the piece by itself.
          await witness.ask(NOOP)
        }
        peer.send(bytes)
        peer.socket.end()
        await peer.rest()
        expect((await witness.ask(NOOP)).status).toBe(0)
      }),
      { numRuns: fewOrMany(40, 300) },
    )
  })
})
