import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { delta, Peer, request, uint32 } from './peer.ts'

const Op = {
  ...{ get: 0x00, set: 0x01, add: 0x02, replace: 0x03, delete: 0x04, incr: 0x05, decr: 0x06, quit: 0x07 },
  ...{ flush: 0x08, getq: 0x09, noop: 0x0a, version: 0x0b, getk: 0x0c, getkq: 0x0d, stat: 0x10, setq: 0x11 },
  ...{ addq: 0x12, replaceq: 0x13, deleteq: 0x14, incrq: 0x15, decrq: 0x16, quitq: 0x17, flushq: 0x18 },
  ...{ touch: 0x1c, gat: 0x1d, gatq: 0x1e },
}
const OK = 0
const MISSING = 1
const EXISTS = 2
const TOO_LARGE = 3
const INVALID = 4
const NOT_A_NUMBER = 6
const UNKNOWN = 0x81
const MONTH = 30 * 24 * 60 * 60
const plain = uint32(0, 0)
const now = (): number => Math.floor(Date.now() / 1000)

/**
 * What a memcached with an item limit of 1 MiB does on its port. `port` is asked before each test, and the
 * whole server is the contract's: it flushes it.
 */
export function protocolContract(port: () => number): void {
  let peer: Peer
  beforeEach(async () => {
    peer = await Peer.connect(port())
    await peer.ask(Op.flush)
  })
  afterEach(() => peer.close())

  const set = (key: string, value: string | Buffer, extras = plain) =>
    peer.ask(Op.set, { key, value, extras })
  const statusOf = async (opcode: number, parts = {}) => (await peer.ask(opcode, parts)).status

  describe('binary protocol', () => {
    test('gives back value, flags, CAS token and opaque', async () => {
      const stored = await peer.ask(Op.set, { key: 'a', value: 'hello', extras: uint32(9, 0), opaque: 77 })
      expect(stored).toMatchObject({ opcode: Op.set, status: OK, opaque: 77, key: '', value: '' })
      expect(stored.cas).toBeGreaterThan(0n)
      const found = { status: OK, cas: stored.cas, extras: uint32(9), value: 'hello', opaque: 78 }
      expect(await peer.ask(Op.get, { key: 'a', opaque: 78 })).toEqual({ ...found, opcode: Op.get, key: '' })
      expect(await peer.ask(Op.getk, { key: 'a', opaque: 78 })).toEqual({
        ...found,
        opcode: Op.getk,
        key: 'a',
      })
    })

    test('keeps empty values and any bytes in keys and values', async () => {
      const key = 'a b\r\n\0\xff'
      const value = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
      await set(key, value)
      expect((await peer.ask(Op.get, { key })).value).toBe(value.toString('latin1'))
      await set(key, '')
      expect(await peer.ask(Op.get, { key })).toMatchObject({ status: OK, value: '' })
    })

    test('says that a key is missing', async () => {
      expect(await peer.ask(Op.get, { key: 'a' })).toMatchObject({ status: MISSING, value: 'Not found' })
      expect(await peer.ask(Op.getk, { key: 'a' })).toMatchObject({ status: MISSING, key: 'a', value: '' })
      for (const opcode of [Op.touch, Op.gat]) {
        expect(await peer.ask(opcode, { key: 'a', extras: uint32(9) })).toMatchObject({ status: MISSING })
      }
      for (const opcode of [Op.replace, Op.delete]) {
        const extras = opcode === Op.replace ? plain : Buffer.alloc(0)
        expect(await statusOf(opcode, { key: 'a', extras })).toBe(MISSING)
      }
    })

    test('quiet reads are silent about a miss only', async () => {
      await set('a', 'x')
      peer.send(request(Op.getq, { key: 'no' }), request(Op.getkq, { key: 'no' }))
      peer.send(request(Op.gatq, { key: 'no', extras: uint32(9) }), request(Op.getkq, { key: 'a' }))
      peer.send(request(Op.gatq, { key: 'a', extras: uint32(9) }), request(Op.noop))
      expect(await peer.frame()).toMatchObject({ opcode: Op.getkq, key: 'a', value: 'x' })
      expect(await peer.frame()).toMatchObject({ opcode: Op.gatq, value: 'x' })
      expect(await peer.frame()).toMatchObject({ opcode: Op.noop })
    })

    test('quiet writes are silent about success only', async () => {
      peer.send(
        request(Op.setq, { key: 'a', value: '5', extras: plain }),
        request(Op.addq, { key: 'b', value: 'x', extras: plain }),
        request(Op.replaceq, { key: 'b', value: 'y', extras: plain }),
        request(Op.incrq, { key: 'a', extras: delta(3n) }),
        request(Op.decrq, { key: 'a', extras: delta(1n) }),
        request(Op.deleteq, { key: 'b' }),
        request(Op.noop),
        request(Op.setq, { key: 'a', value: 'x', extras: plain, cas: 1n << 60n, opaque: 1 }),
        request(Op.addq, { key: 'a', value: 'x', extras: plain, opaque: 2 }),
        request(Op.replaceq, { key: 'b', value: 'x', extras: plain, opaque: 3 }),
        request(Op.deleteq, { key: 'b', opaque: 4 }),
        request(Op.incrq, { key: 'b', extras: delta(1n), opaque: 5 }),
      )
      expect(await peer.frame()).toMatchObject({ opcode: Op.noop })
      for (const [opaque, status] of [EXISTS, EXISTS, MISSING, MISSING, MISSING].entries()) {
        expect(await peer.frame()).toMatchObject({ opaque: opaque + 1, status })
      }
      expect((await peer.ask(Op.get, { key: 'a' })).value).toBe('7')
      peer.send(request(Op.flushq), request(Op.get, { key: 'a' }))
      expect(await peer.frame()).toMatchObject({ opcode: Op.get, status: MISSING })
    })

    test('compares CAS tokens as memcached does', async () => {
      const write = (opcode: number, cas: bigint, key = 'a') =>
        peer.ask(opcode, { key, value: 'v', extras: plain, cas })
      expect(await write(Op.set, 5n)).toMatchObject({ status: MISSING, cas: 0n })
      expect(await write(Op.replace, 5n)).toMatchObject({ status: MISSING })
      expect(await write(Op.add, 5n)).toMatchObject({ status: MISSING })

      const { cas } = await set('a', 'old')
      expect(await write(Op.add, 0n)).toMatchObject({ status: EXISTS, value: 'Data exists for key.' })
      for (const opcode of [Op.set, Op.replace, Op.add])
        expect((await write(opcode, cas + 1n)).status).toBe(EXISTS)
      expect(await statusOf(Op.delete, { key: 'a', cas: cas + 1n })).toBe(EXISTS)
      expect(await statusOf(Op.incr, { key: 'a', extras: delta(1n), cas: cas + 1n })).toBe(EXISTS)
      expect(await peer.ask(Op.get, { key: 'a' })).toMatchObject({ value: 'old', cas })

      const second = await write(Op.replace, cas)
      expect(second.status).toBe(OK)
      expect(second.cas).toBeGreaterThan(cas)
      const third = await write(Op.set, second.cas)
      expect(third.status).toBe(OK)
      expect(await statusOf(Op.delete, { key: 'a', cas: third.cas })).toBe(OK)
      expect(await statusOf(Op.get, { key: 'a' })).toBe(MISSING)
    })

    test('touch and gat give flags and keep the CAS token', async () => {
      const { cas } = await set('a', 'x', uint32(5, 100))
      expect(await peer.ask(Op.touch, { key: 'a', extras: uint32(200) })).toMatchObject({
        ...{ status: OK, cas, extras: uint32(5), value: '' },
      })
      expect(await peer.ask(Op.gat, { key: 'a', extras: uint32(300) })).toMatchObject({
        ...{ status: OK, cas, extras: uint32(5), value: 'x' },
      })
      expect((await peer.ask(Op.get, { key: 'a' })).cas).toBe(cas)
    })

    test.each([
      ['0 is never', () => 0, true],
      ['30 days from now', () => MONTH, true],
      ['one second more is a date in 1970', () => MONTH + 1, false],
      ['a date gone by', () => now() - 10, false],
      ['a date to come', () => now() + 100, true],
      ['the last date of 32 bits', () => 0xffffffff, true],
    ])('expiration: %s', async (_, expiration, lives) => {
      await set('a', 'x', uint32(0, expiration()))
      expect(await statusOf(Op.get, { key: 'a' })).toBe(lives ? OK : MISSING)
      await set('a', 'x')
      expect(await statusOf(Op.touch, { key: 'a', extras: uint32(expiration()) })).toBe(OK)
      expect(await statusOf(Op.get, { key: 'a' })).toBe(lives ? OK : MISSING)
      expect(await statusOf(Op.add, { key: 'a', value: 'y', extras: plain })).toBe(lives ? EXISTS : OK)
    })

    test('an item dies at the end of its life', async () => {
      await set('a', 'x', uint32(0, 1))
      await until(async () => (await statusOf(Op.get, { key: 'a' })) === MISSING)
    })

    test.each([
      ['10', 'incr', 5n, '15'],
      ['10', 'decr', 3n, '7 '],
      ['10', 'decr', 11n, '0 '],
      ['99', 'incr', 1n, '100'],
      ['18446744073709551615', 'incr', 2n, '1                   '],
      [' 12 ', 'incr', 1n, '13  '],
      ['0000000000000000000000001', 'incr', 1n, '2'.padEnd(25)],
    ] as const)('%j %s %d is %j', async (before, direction, by, after) => {
      const { cas } = await set('a', before, uint32(7, 100))
      const counted = await peer.ask(Op[direction], { key: 'a', extras: delta(by) })
      expect(counted.status).toBe(OK)
      expect(Buffer.from(counted.value, 'latin1').readBigUInt64BE(0)).toBe(BigInt(after.trim()))
      expect(counted.cas).toBeGreaterThan(cas)
      const found = await peer.ask(Op.get, { key: 'a' })
      expect(found).toMatchObject({ value: after, extras: uint32(7), cas: counted.cas })
    })

    test.each(['', 'x', '12x', '-1', '18446744073709551616', '9'.repeat(1000)])(
      '%j is no number to count',
      async value => {
        await set('a', value)
        const refused = await peer.ask(Op.incr, { key: 'a', extras: delta(1n) })
        expect(refused.status).toBe(NOT_A_NUMBER)
        expect(refused.value).toBe('Non-numeric server-side value for incr or decr')
        expect((await peer.ask(Op.get, { key: 'a' })).value).toBe(value)
      },
    )

    test('counting starts at the initial value, unless the expiration is 0xffffffff', async () => {
      expect(await statusOf(Op.incr, { key: 'a', extras: delta(1n, 5n, 0xffffffff) })).toBe(MISSING)
      expect(await statusOf(Op.incr, { key: 'a', extras: delta(1n, 5n, 100) })).toBe(OK)
      expect(await peer.ask(Op.get, { key: 'a' })).toMatchObject({ value: '5', extras: uint32(0) })
      expect(await statusOf(Op.incr, { key: 'b', extras: delta(1n, 5n, MONTH + 1) })).toBe(OK)
      expect(await statusOf(Op.get, { key: 'b' })).toBe(MISSING)
    })

    test.each([
      ['k', 0, 1_048_516],
      ['k', 1, 1_048_512],
      ['k'.repeat(250), 0, 1_048_267],
    ])('the largest value: key %s, flags %d', async (key, flags, largest) => {
      const extras = uint32(flags, 0)
      expect((await set(key, Buffer.alloc(largest, 'x'), extras)).status).toBe(OK)
      expect((await peer.ask(Op.get, { key })).value).toHaveLength(largest)
      const refused = await set(key, Buffer.alloc(largest + 1, 'x'), extras)
      expect(refused).toMatchObject({ status: TOO_LARGE, value: 'Too large.' })
    })

    test('a SET that is too large deletes the old item; REPLACE and ADD do not', async () => {
      const value = Buffer.alloc(2_000_000, 'x')
      for (const [opcode, withCas, after] of [
        [Op.set, false, MISSING],
        [Op.setq, false, MISSING],
        [Op.set, true, MISSING],
        [Op.replace, false, OK],
        [Op.replace, true, OK],
        [Op.add, false, OK],
      ] as const) {
        const { cas } = await set('a', 'old')
        const parts = { key: 'a', value, extras: plain, cas: withCas ? cas : 0n }
        expect(await statusOf(opcode, parts)).toBe(TOO_LARGE)
        expect(await statusOf(Op.get, { key: 'a' })).toBe(after)
      }
    })

    const long = 'k'.repeat(251)
    test.each([
      ['a key of 251 bytes', Op.get, { key: long }],
      ['a key of 251 bytes to set', Op.setq, { key: long, extras: plain, value: 'x' }],
      ['no key', Op.get, {}],
      ['no key to set', Op.set, { extras: plain, value: 'x' }],
      ['no key to delete', Op.delete, {}],
      ['a set without extras', Op.set, { key: 'a', value: 'x' }],
      ['a get with extras', Op.get, { key: 'a', extras: uint32(1) }],
      ['a get with a value', Op.get, { key: 'a', value: 'x' }],
      ['a delete with a time', Op.delete, { key: 'a', extras: uint32(0) }],
      ['a touch without a time', Op.touch, { key: 'a' }],
      ['an incr without extras', Op.incr, { key: 'a' }],
      ['a noop with a body', Op.noop, { value: 'x' }],
      ['a get of 4 GiB', Op.get, { key: 'a', total: 0xffffffff }],
    ])('%s: invalid arguments, and the connection closes', async (_, opcode, parts) => {
      expect(await peer.ask(opcode, parts)).toMatchObject({
        opcode,
        status: INVALID,
        value: 'Invalid arguments',
      })
      expect((await peer.rest()).length).toBe(0)
    })

    test('an unknown command does not end the connection', async () => {
      expect(await peer.ask(0x40)).toMatchObject({ opcode: 0x40, status: UNKNOWN, value: 'Unknown command' })
      expect(await statusOf(Op.noop)).toBe(OK)
    })

    test('a key longer than the body closes the connection', async () => {
      expect(await statusOf(Op.get, { key: 'abc', total: 2 })).toBe(UNKNOWN)
      await peer.rest()
    })

    test('what is no request closes the connection', async () => {
      peer.send(Buffer.alloc(24, 0x81))
      expect((await peer.rest()).length).toBe(0)
    })

    test('answers pipelined requests in their order, however they are cut', async () => {
      const count = 200
      const sent = Buffer.concat(
        Array.from({ length: count }, (_, i) => [
          request(Op.set, { key: `k${i}`, value: 'v'.repeat(i), extras: plain, opaque: 2 * i }),
          request(Op.get, { key: `k${i}`, opaque: 2 * i + 1 }),
        ]).flat(),
      )
      peer.socket.setNoDelay(true)
      for (let at = 0, size = 1; at < sent.length; at += size, size = (size * 3) % 101) {
        peer.send(sent.subarray(at, at + size))
      }
      for (let i = 0; i < count; i++) {
        expect(await peer.frame()).toMatchObject({ opaque: 2 * i, status: OK })
        expect(await peer.frame()).toMatchObject({ opaque: 2 * i + 1, value: 'v'.repeat(i) })
      }
    })

    test('flush, version, stat and quit', async () => {
      await set('a', 'x')
      expect(await statusOf(Op.flush, { extras: uint32(0) })).toBe(OK)
      expect(await statusOf(Op.get, { key: 'a' })).toBe(MISSING)
      expect((await peer.ask(Op.version)).value).toMatch(/^\d+\.\d+\.\d+/)

      peer.send(request(Op.stat, { key: 'settings' }))
      const settings = new Map<string, string>()
      for (let { key, value } = await peer.frame(); key !== ''; { key, value } = await peer.frame()) {
        settings.set(key, value)
      }
      expect(settings.get('item_size_max')).toBe('1048576')
      expect(await statusOf(Op.stat, { key: 'nonsense' })).toBe(MISSING)

      expect(await statusOf(Op.quit)).toBe(OK)
      await peer.rest()
      const other = await Peer.connect(port())
      other.send(request(Op.quitq))
      expect((await other.rest()).length).toBe(0)
    })
  })

  describe('text commands', () => {
    let client: Peer
    beforeEach(async () => {
      client = await Peer.connect(port())
    })
    afterEach(() => client.close())

    const long = 'k'.repeat(251)
    const ended = (text: string): string => text.replaceAll('|', '\r\n')
    test.each([
      ['set a 5 0 3|abc|get a|', 'STORED|VALUE a 5 3|abc|END|'],
      ['set a 5 0 0||get a|', 'STORED|VALUE a 5 0||END|'],
      ['set a 0 0 1|x|set b 0 0 1|y|get a no  b|', 'STORED|STORED|VALUE a 0 1|x|VALUE b 0 1|y|END|'],
      ['set a 0 0 3 noreply|abc|get a|', 'VALUE a 0 3|abc|END|'],
      ['set a 0 -1 1|x|get a|', 'STORED|END|'],
      ['set a 0 2592001 1|x|get a|', 'STORED|END|'],
      ['add a 0 0 1|x|add a 0 0 1|y|get a|', 'STORED|NOT_STORED|VALUE a 0 1|x|END|'],
      [
        'replace a 0 0 1|x|set a 0 0 1|x|replace a 0 0 1|y|get a|',
        'NOT_STORED|STORED|STORED|VALUE a 0 1|y|END|',
      ],
      ['cas a 0 0 1 5|x|set a 0 0 1|x|cas a 0 0 1 0|y|', 'NOT_FOUND|STORED|EXISTS|'],
      [
        'delete a|set a 0 0 1|x|delete a|set a 0 0 1|x|delete a 0|',
        'NOT_FOUND|STORED|DELETED|STORED|DELETED|',
      ],
      ['set a 0 0 1|x|delete a noreply|delete a 0 noreply|get a|', 'STORED|END|'],
      [
        'touch a 9|set a 0 0 1|x|touch a 9|touch a 9 noreply|touch a -1|get a|',
        'NOT_FOUND|STORED|TOUCHED|TOUCHED|END|',
      ],
    ])('%s', async (commands, replies) => {
      expect(await client.text(ended(commands))).toBe(ended(replies))
    })

    // How they are worded differs from version to version, and so no client may rely on it.
    test.each([
      ...['cas a 0 0 1|', 'cas a 0 0 1 x|', 'set a 0 0 3|abcdef|', 'set a 0 0 -1|', 'set a 0 0 x|'],
      ...['set a x 0 1|', 'set a 0 0|', `set ${long} 0 0 1|`, `get a ${long}|`, `delete ${long}|`],
      ...['delete|', 'delete a 1|', 'delete a b c d|', 'touch a|', 'touch a x|', 'get|', 'gets|'],
      ...['foo|', '|', 'GET a|', 'lru_crawler|', 'lru_crawler metadump|', 'lru_crawler foo|'],
      'stats nonsense|',
    ])('%j is an error; nothing is stored, and the next command is answered', async command => {
      await set('a', 'x')
      const replies = (await client.text(ended(command))).split('\r\n').slice(0, -1)
      expect(replies.length).toBeGreaterThan(0)
      for (const reply of replies) expect(reply).toMatch(/^(CLIENT_|SERVER_)?ERROR\b/)
      expect(await client.text('get a\r\n')).toMatch(/^(VALUE a 0 1\r\nx\r\n)?END\r\n$/)
    })

    test('a metadump of what it does not know is BADCLASS', async () => {
      expect(await client.text('lru_crawler metadump foo\r\n')).toMatch(/^BADCLASS\b.*\r\n$/)
    })

    test('gets gives the token that cas takes', async () => {
      const replies = await client.text('set a 0 0 1\r\nx\r\ngets a\r\n')
      const token = /^VALUE a 0 1 (\d+)\r$/m.exec(replies)?.[1]
      expect((await peer.ask(Op.get, { key: 'a' })).cas).toBe(BigInt(token ?? -1))
      expect(await client.text(`cas a 0 0 1 ${token}\r\ny\r\ncas a 0 0 1 ${token}\r\nz\r\nget a\r\n`)).toBe(
        'STORED\r\nEXISTS\r\nVALUE a 0 1\r\ny\r\nEND\r\n',
      )
    })

    test('a set that is too large deletes the old item, a replace does not', async () => {
      const value = `${'x'.repeat(2_000_000)}\r\n`
      const tooLarge = 'SERVER_ERROR object too large for cache\r\n'
      await client.text('set a 0 0 1\r\nx\r\n')
      expect(await client.text(`replace a 0 0 2000000\r\n${value}`)).toBe(tooLarge)
      expect(await client.text('get a\r\n')).toBe('VALUE a 0 1\r\nx\r\nEND\r\n')
      expect(await client.text(`set a 0 0 2000000\r\n${value}`)).toBe(tooLarge)
      expect(await client.text('get a\r\n')).toBe('END\r\n')
    })

    test.each(['all', 'hash'])('metadump %s', async which => {
      const key = '"+b/\xe9% ~-._'
      const { cas } = await set('plain', 'abc', uint32(0, 100))
      await set(key, 'x', uint32(1, 0))
      await peer.ask(Op.get, { key })
      await set('gone', 'x', uint32(0, MONTH + 1))
      client.send(`lru_crawler metadump ${which}\r\n`)
      const lines = await client.lines()
      // Said before the keys since 1.6.43.
      if (lines[0] === 'OK') lines.shift()
      const found = lines.slice(0, -1).sort()
      expect(found).toHaveLength(2)
      expect(found[0]).toMatch(
        /^key=%22%2Bb%2F%E9%25%20~-\._ exp=-1 la=\d+ cas=\d+ fetch=yes cls=\d+ size=75( |$)/,
      )
      const pattern = /^key=plain exp=(\d+) la=(\d+) cas=(\d+) fetch=no cls=\d+ size=67( |$)/
      const [, expires, accessed, token] = (pattern.exec(found[1] ?? '') ?? []).map(Number)
      expect(token).toBe(Number(cas))
      // The server's clock may be a second behind.
      expect(Math.abs((expires ?? 0) - now() - 100)).toBeLessThanOrEqual(2)
      expect(Math.abs((accessed ?? 0) - now())).toBeLessThanOrEqual(2)
    })

    test('stats', async () => {
      await set('a', 'abc')
      await peer.ask(Op.get, { key: 'a' })
      client.send('stats\r\n')
      const stats = Object.fromEntries((await client.lines()).map(line => line.split(' ').slice(1)))
      for (const name of [
        ...['pid', 'uptime', 'time', 'version', 'curr_items', 'total_items', 'bytes', 'limit_maxbytes'],
        ...['evictions', 'curr_connections', 'total_connections', 'max_connections', 'cmd_get', 'cmd_set'],
        ...['get_hits', 'get_misses', 'delete_hits', 'cas_badval', 'touch_hits', 'threads', 'bytes_read'],
      ]) {
        expect(stats, name).toHaveProperty(name)
      }
      client.send('stats settings\r\n')
      const settings = Object.fromEntries((await client.lines()).map(line => line.split(' ').slice(1)))
      expect(settings).toMatchObject({ item_size_max: '1048576', evictions: 'on', maxconns: '1024' })
      expect(settings).toHaveProperty('maxbytes')
    })

    test('quit closes the connection', async () => {
      client.send('version\r\nquit\r\nversion\r\n')
      expect((await client.rest()).toString('latin1')).toMatch(/^VERSION \S+\r\n$/)
    })

    test('a line without end closes the connection', async () => {
      client.send('x'.repeat(5000))
      await client.rest()
    })
  })
}
