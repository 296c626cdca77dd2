import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ConnectionLostError } from '../../lib/errors.ts'
import { Inbox } from '../../lib/memcached/inbox.ts'
import type { MemjsNode } from '../../lib/memcached/memjs-node.ts'
import type { Line } from '../../lib/memcached/protocol.ts'
import { NOT_FOUND, OK, type Reply } from '../../lib/memcached/reply.ts'
import { GET, REPLACE, Request } from '../../lib/memcached/request.ts'
import { RequestQueue } from '../../lib/memcached/request-queue.ts'
import { TextProtocol } from '../../lib/memcached/text/text-protocol.ts'
import { Keys } from '../../lib/storage/keys.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { asked, nodeOf } from '../support/node.ts'

const PATIENCE = 5000

/** A server that answers each line, after the greeting, as a test says. */
async function scripted(
  answer: (line: string, connection: number) => string | null,
  timeout = PATIENCE,
): Promise<{ node: MemjsNode; lines: string[]; connections: () => number }> {
  const lines: string[] = []
  let connections = 0
  const server = createServer(socket => {
    const connection = ++connections
    let text = ''
    socket.on('error', () => {})
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n'); end !== -1; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 2)
        if (line !== 'version') lines.push(line)
        const reply = line === 'version' ? 'VERSION 1\r\n' : answer(line, connection)
        if (reply === null) socket.destroy()
        else socket.write(reply, 'latin1')
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const node = nodeOf(`127.0.0.1:${(server.address() as AddressInfo).port}`, timeout, { protocol: 'text' })
  onTestFinished(async () => {
    await node.close()
    server.close()
  })
  return { node, lines, connections: () => connections }
}

const get = (node: MemjsNode, key: string): Promise<Reply> => asked(done => node.get(key, done))
const set = (node: MemjsNode, key: string, value: string): Promise<Reply> =>
  asked(done => node.write('set', { key, value, flags: 0, expiration: 0 }, null, done))

describe('text', () => {
  test('what is read in one tick is asked for in one command; a key that is twice in it may be answered once', async () => {
    const { node, lines } = await scripted(line =>
      [...new Set(line.split(' ').slice(1))]
        .filter(key => key !== 'none')
        .map(key => `VALUE ${key} 0 1 7\r\n${key}\r\n`)
        .concat('END\r\n')
        .join(''),
    )
    await get(node, 'w')
    const replies = await Promise.all(['a', 'b', 'none', 'c', 'a', 'd'].map(key => get(node, key)))
    expect(replies.map(({ status, text }) => (status === NOT_FOUND ? null : text))).toEqual([
      'a',
      'b',
      null,
      'c',
      'a',
      'd',
    ])
    expect(lines).toEqual(['gets w', 'gets a b none c a d', 'gets a'])
  })

  test('values may come in any order, as through a proxy', async () => {
    const { node } = await scripted(line =>
      line
        .split(' ')
        .slice(1)
        .reverse()
        .map(key => `VALUE ${key} 3 2 9\r\n${key}${key}\r\n`)
        .concat('END\r\n')
        .join(''),
    )
    await get(node, 'w')
    const replies = await Promise.all(['a', 'b', 'c'].map(key => get(node, key)))
    expect(replies.map(({ text, flags }) => [text, flags])).toEqual([
      ['aa', 3],
      ['bb', 3],
      ['cc', 3],
    ])
  })

  test('where one of many fails, as behind a proxy, each is asked for alone, from then on', async () => {
    const { node, lines } = await scripted(line => {
      const keys = line.split(' ').slice(1)
      if (keys.includes('away')) return 'SERVER_ERROR Connection refused\r\n'
      return keys
        .map(key => `VALUE ${key} 0 1 7\r\n${key}\r\n`)
        .concat('END\r\n')
        .join('')
    })
    await get(node, 'w')
    const outcomes = await Promise.allSettled(['a', 'away', 'b'].map(key => get(node, key)))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(outcomes[1]).toMatchObject({ reason: { code: 'ERR_UNAVAILABLE' } })
    await Promise.all(['c', 'd'].map(key => get(node, key)))
    expect(lines).toEqual(['gets w', 'gets a away b', 'gets a', 'gets away', 'gets b', 'gets c', 'gets d'])
  })

  test('a write that fails behind a proxy may have been carried out', async () => {
    const { node } = await scripted(line =>
      line.startsWith('set') ? 'SERVER_ERROR Connection timed out\r\n' : '',
    )
    const error = await set(node, 'a', 'x').catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConnectionLostError)
    expect((error as ConnectionLostError).remaining).toBeGreaterThan(0)
  })

  test('what is asked for once more has no second deadline', async () => {
    const timeout = 500
    // The first write's version is looked for, behind a read that came later, and then nothing comes any more.
    const { node } = await scripted(line => (line === 'gets later' ? 'STORED\r\n' : ''), timeout)
    const silent = await scripted(() => '', timeout)
    const ended: string[] = []
    const written = set(node, 'first', '').finally(() => ended.push('write'))
    await sleep(timeout / 4)
    const unanswered = get(silent.node, 'any').finally(() => ended.push('read'))
    await sleep(timeout / 2)
    await Promise.allSettled([written, unanswered, get(node, 'later')])
    expect(ended).toEqual(['write', 'read'])
  })

  test('after ERROR and CLIENT_ERROR the connection is dropped', async () => {
    for (const complaint of ['ERROR', 'CLIENT_ERROR bad data chunk']) {
      const { node, connections } = await scripted((line, connection) => {
        if (line.startsWith('set')) return `${complaint}\r\n`
        return connection === 1 ? '' : 'END\r\n'
      })
      await expect(set(node, 'a', 'x')).rejects.toMatchObject({ code: 'ERR_PROTOCOL' })
      expect(await get(node, 'a')).toMatchObject({ status: NOT_FOUND })
      expect(connections()).toBe(2)
    }
  })

  test.each([
    ['a value nobody asked for', 'VALUE other 0 1 1\r\nx\r\nEND\r\n'],
    ['a value longer than it says', 'VALUE a 0 1 1\r\nxx\r\nEND\r\n'],
    ['no numbers', 'VALUE a x y z\r\nx\r\nEND\r\n'],
    ['what answers a write', 'STORED\r\n'],
    ['a line without end', 'x'.repeat(5000)],
    ['bytes', '\x81\0\0\0\r\n'],
  ])('%s is garbage', async (_, garbage) => {
    let isFirst = true
    const { node } = await scripted(() => {
      const answer = isFirst ? garbage : 'END\r\n'
      isFirst = false
      return answer
    })
    // Read once more on another connection.
    expect(await get(node, 'a')).toMatchObject({ status: NOT_FOUND })
  })

  describe.skipIf(!hasMemcached)('on memcached', () => {
    test('no key and no value can be taken for a command, whatever bytes are in them', async () => {
      const memcached = await Memcached.start('-B', 'ascii')
      onTestFinished(() => memcached.kill())
      const node = nodeOf(memcached.address, PATIENCE, { protocol: 'text' })
      onTestFinished(() => node.close())
      const keys = new Keys('sess:')
      await set(node, 'sess:guard', 'still here')
      const nasty = fc.array(
        fc.oneof(
          fc.constantFrom(
            '\r\n',
            '\n',
            ' ',
            '\0',
            'flush_all',
            'delete sess:guard',
            'set sess:guard 0 0 1\r\nx',
            'END',
          ),
          fc.integer({ min: 0, max: 255 }).map(byte => String.fromCharCode(byte)),
        ),
        { maxLength: 30 },
      )
      await fc.assert(
        fc.asyncProperty(nasty, nasty, async (id, value) => {
          const key = keys.of(id.join(''))
          expect(key).toMatch(/^[\x21-\x7e]{1,250}$/)
          expect((await set(node, key, value.join(''))).status).toBe(OK)
          expect((await get(node, key)).text).toBe(value.join(''))
          expect((await get(node, 'sess:guard')).text).toBe('still here')
        }),
        { numRuns: 300 },
      )
    })
  })

  test('in whatever pieces it comes, each request gets its own', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ value: fc.option(fc.string({ maxLength: 40 })), token: fc.bigInt(1n, 2n ** 64n - 1n) }),
          {
            minLength: 1,
            maxLength: 20,
          },
        ),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 }),
        (items, lengths) => {
          const seen: unknown[] = []
          const requests = new RequestQueue()
          const stream: Buffer[] = []
          for (const [index, { value, token }] of items.entries()) {
            const request = new Request(index % 3 === 2 ? REPLACE : GET, 0, `k${index}`)
            request.group = request.operation === GET ? index + 1 : 0
            request.onReply = ({ status, text, version }) =>
              seen.push([
                status,
                text,
                version === null ? null : (BigInt(version.high) << 32n) + BigInt(version.low),
              ])
            requests.push(request)
            if (request.operation === REPLACE) stream.push(Buffer.from('NOT_STORED\r\n'))
            else if (value === null) stream.push(Buffer.from('END\r\n'))
            else {
              const bytes = Buffer.from(value)
              stream.push(
                Buffer.from(`VALUE k${index} 0 ${bytes.length} ${token}\r\n`),
                bytes,
                Buffer.from('\r\nEND\r\n'),
              )
            }
          }
          const inbox = new Inbox(new TextProtocol(lineOf(requests)))
          const bytes = Buffer.concat(stream)
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const length = lengths[turn % lengths.length] as number
            const piece = Buffer.from(bytes.subarray(at, at + length))
            expect(inbox.take(piece)).toBeNull()
            // Others are read into the same bytes.
            piece.fill(0)
            at += length
          }
          expect(seen).toEqual(
            items.map(({ value, token }, index) =>
              index % 3 === 2 || value === null
                ? [NOT_FOUND, '', null]
                : [OK, Buffer.from(value).toString(), token],
            ),
          )
        },
      ),
    )
  })
})

function lineOf(requests: RequestQueue): Line {
  return {
    server: 'server',
    requests,
    maxBody: 10_000,
    findings: { isProxy: false },
    left: () => 0,
    send: request => requests.push(request),
  }
}
