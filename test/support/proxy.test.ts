import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { build, Frames, HEADER, isMessage, type Message, OPCODE, parse, REQUEST } from './frames.ts'
import { hasMemcached, Memcached } from './memcached.ts'
import { MisbehavingServer, replyTo } from './misbehaving-server.ts'
import { bodyLength, foreignOpaque, TcpProxy } from './proxy.ts'
import { until } from './until.ts'

/** A bare connection: what was sent to it, and how it ended. */
class Raw {
  readonly socket: Socket
  readonly bytes: Buffer[] = []
  readonly replies: Message[] = []
  ending: 'open' | 'fin' | 'reset' | 'refused' = 'open'

  constructor(address: string) {
    const [host, port] = address.split(':') as [string, string]
    this.socket = connect({ host, port: Number(port) })
    const frames = new Frames()
    this.socket.on('data', chunk => {
      this.bytes.push(chunk)
      this.replies.push(...frames.take(chunk).filter(isMessage).map(parse))
    })
    this.socket.on('end', () => {
      this.ending = 'fin'
    })
    this.socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      this.ending = code === 'ECONNREFUSED' ? 'refused' : 'reset'
    })
  }

  send(...requests: Partial<Message>[]): void {
    this.socket.write(Buffer.concat(requests.map(request => build(REQUEST, request))))
  }

  received(count: number): Promise<unknown> {
    return until(() => this.replies.length >= count)
  }
}

const GET = { opcode: OPCODE.get, key: 'proxy' }
const SET = { opcode: OPCODE.set, key: 'proxy', extras: Buffer.alloc(8), value: Buffer.from('value') }

describe.skipIf(!hasMemcached)('a proxy in front of memcached', () => {
  let memcached: Memcached
  let proxy: TcpProxy
  let client: Raw

  beforeAll(async () => {
    memcached = await Memcached.start()
  })
  afterAll(() => memcached.kill())
  beforeEach(async () => {
    proxy = await TcpProxy.start(memcached.address)
    client = new Raw(proxy.address)
    return async () => {
      client.socket.destroy()
      await proxy[Symbol.asyncDispose]()
    }
  })

  test('passes and counts', async () => {
    client.send(SET, GET, GET)
    await client.received(3)
    expect(client.replies.map(({ value }) => value.toString())).toEqual(['', 'value', 'value'])
    expect([proxy.connections, proxy.count(), proxy.count(OPCODE.get), proxy.count(OPCODE.set)]).toEqual([
      1, 3, 2, 1,
    ])
  })

  test('passes text', async () => {
    client.socket.write('version\r\n')
    await until(() => client.bytes.length)
    expect(String(client.bytes[0])).toMatch(/^VERSION 1/)
  })

  test('delays', async () => {
    proxy.delay(60)
    const start = performance.now()
    client.send(SET)
    await client.received(1)
    expect(performance.now() - start).toBeGreaterThan(55)
  })

  test('delays each direction by half a round trip', async () => {
    proxy.roundTrip(60)
    const start = performance.now()
    client.send(SET)
    await until(() => proxy.count())
    expect(proxy.replies).toBe(0)
    await until(() => proxy.replies)
    expect(performance.now() - start).toBeGreaterThan(25)
    await client.received(1)
    expect(performance.now() - start).toBeGreaterThan(55)
  })

  test('holds and releases, in order', async () => {
    proxy.hold()
    client.send({ ...SET, opaque: 1 }, { ...GET, opaque: 2 })
    await until(() => proxy.replies === 2)
    await sleep(20)
    expect(client.replies).toEqual([])
    await proxy.pass()
    client.send({ ...GET, opaque: 3 })
    await client.received(3)
    expect(client.replies.map(({ opaque }) => opaque)).toEqual([1, 2, 3])
  })

  test('passes replies in pieces', async () => {
    proxy.inPieces(5)
    client.send(SET, GET)
    await client.received(2)
    expect(client.bytes.map(({ length }) => length)).toEqual([5, 5, 5, 5, 4, 5, 5, 5, 5, 5, 5, 3])
  })

  test('swallows replies', async () => {
    proxy.swallow()
    client.send(SET)
    await until(() => proxy.replies === 1)
    await proxy.pass()
    client.send(GET)
    await client.received(1)
    expect(client.replies.map(({ value }) => value.toString())).toEqual(['value'])
  })

  test('is silent', async () => {
    proxy.silence()
    client.send({ ...SET, value: Buffer.from('never') })
    await until(() => proxy.count(OPCODE.set))
    await proxy.pass()
    client.send(GET)
    await client.received(1)
    expect(client.replies[0]?.value.toString()).not.toBe('never')
  })

  test.each(['fin', 'reset'] as const)('cuts after some bytes, with %s', async how => {
    proxy.cutAfter(HEADER + 10, how)
    client.send(SET, GET)
    // libuv reads an RST that comes together with bytes as an end.
    await until(() => client.ending !== 'open')
    expect(Buffer.concat(client.bytes).length).toBe(HEADER + 10)
    const next = new Raw(proxy.address)
    next.send(SET, GET)
    await next.received(2)
    next.socket.destroy()
  })

  test.each(['fin', 'reset'] as const)('cuts at once, with %s', async how => {
    client.send(SET)
    await client.received(1)
    proxy.cutNow(how)
    await until(() => client.ending === how)
    await until(() => proxy.open === 0)
  })

  test('tampers', async () => {
    proxy.tamper(foreignOpaque)
    client.send({ ...SET, opaque: 7 })
    await client.received(1)
    expect(client.replies[0]?.opaque).toBe(0x1000_0007)
    proxy.tamper(bodyLength(2 ** 32 - 1))
    client.send(GET)
    await until(() => client.bytes.length === 2)
    expect(client.bytes[1]?.readUInt32BE(8)).toBe(2 ** 32 - 1)
  })

  test('refuses and accepts again', async () => {
    await once(client.socket, 'connect')
    await proxy.refuse()
    await until(() => client.ending === 'reset')
    const refused = new Raw(proxy.address)
    await until(() => refused.ending === 'refused')
    await proxy.pass()
    const next = new Raw(proxy.address)
    next.send(SET)
    await next.received(1)
    next.socket.destroy()
  })

  test('loses the reply of a write that was carried out', async () => {
    proxy.loseNextReply('fin')
    client.send(GET)
    await client.received(1)
    client.send({ ...SET, value: Buffer.from('lost') })
    await until(() => client.ending === 'fin')
    expect(client.replies).toHaveLength(1)
    const next = new Raw(proxy.address)
    next.send(GET)
    await next.received(1)
    expect(next.replies[0]?.value.toString()).toBe('lost')
    next.socket.destroy()
  })
})

test('a misbehaving server behaves until told otherwise', async () => {
  await using server = await MisbehavingServer.start()
  const client = new Raw(server.address)
  client.send(
    { ...SET, opaque: 1 },
    { ...GET, opaque: 2 },
    { opcode: OPCODE.delete, key: 'proxy', opaque: 3 },
    GET,
  )
  await client.received(4)
  expect(client.replies.map(({ status, opaque }) => [status, opaque])).toEqual([
    [0, 1],
    [0, 2],
    [0, 3],
    [1, 0],
  ])
  expect(client.replies[1]?.value.toString()).toBe('value')
  server.script = (request, socket) => socket.end(replyTo(request, { status: 0x82 }))
  client.send(GET)
  await until(() => client.ending === 'fin')
  expect(client.replies[4]?.status).toBe(0x82)
  client.socket.destroy()
})
