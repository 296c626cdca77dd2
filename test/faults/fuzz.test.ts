import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { BinaryProtocol } from '../../lib/memcached/binary/binary-protocol.ts'
import { Inbox } from '../../lib/memcached/inbox.ts'
import type { Line, Protocol } from '../../lib/memcached/protocol.ts'
import { NOT_FOUND, OK, Reply } from '../../lib/memcached/reply.ts'
import { GET, Request } from '../../lib/memcached/request.ts'
import { RequestQueue } from '../../lib/memcached/request-queue.ts'
import { TextProtocol } from '../../lib/memcached/text/text-protocol.ts'
import { codePoint } from '../support/code-point.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { build, HEADER, OPCODE, RESPONSE } from '../support/frames.ts'
import { behave, MisbehavingServer } from '../support/misbehaving-server.ts'
import { ownSession } from '../support/settle.ts'

const MAX_BODY = 2000

interface Seen {
  opcode: number
  opaque: number
  status: number
  flags: number
  casHigh: number
  casLow: number
  text: string
}

const reply: fc.Arbitrary<Buffer> = fc
  .record({
    opcode: fc.constantFrom(...Object.values(OPCODE)),
    status: fc.oneof(fc.constantFrom(0, 1, 2, 0x20, 0x81, 0x82), fc.nat(0xffff)),
    opaque: fc.nat(0xffff_ffff),
    cas: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    extras: fc.constantFrom(0, 4, 4, 8).map(length => Buffer.alloc(length, 7)),
    key: fc.constantFrom('', '', 'key'),
    value: fc.oneof(
      fc.string({ unit: codePoint, maxLength: 60 }),
      fc.string({ minLength: 200, maxLength: 400 }),
    ),
  })
  .map(({ value, ...rest }) => build(RESPONSE, { ...rest, value: Buffer.from(value) }))

/** Where, as a part of the whole, and how bytes are harmed. */
const mutation = fc.record({
  at: fc.integer({ min: 0, max: 1000 }).map(thousandths => thousandths / 1000),
  kind: fc.constantFrom('change', 'drop', 'insert', 'repeat', 'truncate'),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 30 }),
})
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never

function mutate(bytes: Buffer, { at, kind, bytes: other }: Mutation): Buffer {
  const from = Math.floor(at * bytes.length)
  const to = Math.min(bytes.length, from + other.length)
  const before = bytes.subarray(0, from)
  const after = bytes.subarray(to)
  const piece = bytes.subarray(from, to)
  switch (kind) {
    case 'change':
      return Buffer.concat([before, other.subarray(0, piece.length), after])
    case 'drop':
      return Buffer.concat([before, after])
    case 'insert':
      return Buffer.concat([before, other, piece, after])
    case 'repeat':
      return Buffer.concat([before, piece, piece, after])
    default:
      return before
  }
}

/** Cuts into pieces of these lengths, over and over. */
function inPieces(bytes: Buffer, lengths: number[]): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] as number
    pieces.push(Buffer.from(bytes.subarray(at, at + length)))
    at += length
  }
  return pieces
}

/** What the protocol makes of the pieces, while these are asked for: answers, failures, then perhaps a complaint. */
function parsed(pieces: Buffer[], asked: Seen[]): { replies: Seen[]; complains: boolean } {
  const replies: Seen[] = []
  const requests = new RequestQueue()
  for (const { opcode, opaque } of asked) {
    const request = new Request(opcode, opaque, '')
    request.onReply = ({ status, flags, version, text }: Reply) => {
      const { high: casHigh, low: casLow } = version ?? { high: 0, low: 0 }
      // Only a read has flags.
      const seen = { flags: opcode === OPCODE.get ? flags : 0, casHigh, casLow, text }
      replies.push({ opcode, opaque, status, ...seen })
    }
    request.onFailure = () => replies.push({ opcode, opaque, ...FAILURE })
    requests.push(request)
  }
  return { replies, complains: complainsAt(pieces, new BinaryProtocol(lineOf(requests))) }
}

/** Are these pieces refused, as they come into the one buffer of a connection? */
function complainsAt(pieces: Buffer[], protocol: Protocol): boolean {
  const inbox = new Inbox(protocol)
  return pieces.some(piece => {
    piece.copy(inbox.buffer)
    return inbox.take(inbox.buffer.subarray(0, piece.length)) !== null
  })
}

function lineOf(requests: RequestQueue): Line {
  return {
    server: 'server',
    requests,
    maxBody: MAX_BODY,
    findings: { isProxy: false },
    left: () => 0,
    send: request => requests.push(request),
  }
}

const FAILURE = { status: -1, flags: 0, casHigh: 0, casLow: 0, text: '' }
const AUTH_ERROR = 0x20

/** The same, written down from the protocol's definition, of all bytes at once. */
function expected(bytes: Buffer): { replies: Seen[]; complains: boolean } {
  const replies: Seen[] = []
  let rest = bytes
  while (rest.length >= HEADER) {
    const [magic, opcode] = [rest.readUInt8(0), rest.readUInt8(1)]
    const [keyLength, extras, body] = [rest.readUInt16BE(2), rest.readUInt8(4), rest.readUInt32BE(8)]
    if (magic !== RESPONSE || body > MAX_BODY || keyLength + extras > body)
      return { replies, complains: true }
    if (rest.length < HEADER + body) break
    const [status, opaque] = [rest.readUInt16BE(6), rest.readUInt32BE(12)]
    if (status === AUTH_ERROR) return { replies, complains: true }
    const nothing = { ...FAILURE, status: status === 1 || status === 2 ? status : -1 }
    const answer = {
      status,
      flags: opcode === OPCODE.get && extras === 4 ? rest.readUInt32BE(HEADER) : 0,
      casHigh: rest.readUInt32BE(16),
      casLow: rest.readUInt32BE(20),
      text: rest.toString('utf8', HEADER + extras + keyLength, HEADER + body),
    }
    replies.push({ opcode, opaque, ...(status === OK ? answer : nothing) })
    rest = rest.subarray(HEADER + body)
  }
  return { replies, complains: false }
}

describe('the binary protocol', () => {
  test('whatever comes, in whatever pieces, is read as the protocol says, or refused', () => {
    const bytes = fc.oneof(
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map(random => Buffer.from(random)) },
      {
        weight: 4,
        arbitrary: fc
          .tuple(fc.array(reply, { maxLength: 8 }), fc.array(mutation, { maxLength: 3 }))
          .map(([replies, mutations]) => mutations.reduce(mutate, Buffer.concat(replies))),
      },
    )
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 5000 })), {
      minLength: 1,
      maxLength: 10,
    })
    fc.assert(
      fc.property(bytes, lengths, (stream, pieces) => {
        const wanted = expected(stream)
        expect(parsed(inPieces(stream, pieces), wanted.replies)).toEqual(wanted)
      }),
      { numRuns: fewOrMany(500, 10_000) },
    )
  })
})

describe('the store', () => {
  test('whatever a server makes of its replies, no session reaches the wrong request', async () => {
    const timeout = 300
    const runs = fc.sample(fc.array(mutation, { minLength: 1, maxLength: 3 }), fewOrMany(50, 500))
    let served = 0
    for (let first = 0; first < runs.length; first += 50) {
      await Promise.all(runs.slice(first, first + 50).map(run))
    }
    // Mutations that strike late leave the replies before them as they are.
    expect(served).toBeGreaterThan(runs.length)

    async function run(mutations: Mutation[]): Promise<void> {
      const sids = Array.from({ length: 20 }, (_, index) => `<${String.fromCharCode(97 + index).repeat(5)}>`)
      const behaved = behave()
      await using server = await MisbehavingServer.start(behaved)
      await using store = new MemcachedStore({ servers: server.address, timeout })
      await Promise.all(sids.map(sid => store.set(sid, ownSession(sid, { text: sid.repeat(5) }))))

      // The replies become one stream, which is harmed; what is asked again is answered well.
      const replies: Buffer[] = []
      server.script = (request, socket) => {
        if (replies.length === sids.length) {
          behaved(request, socket)
          return
        }
        behaved(request, { write: (bytes: Buffer) => replies.push(bytes) } as never)
        if (replies.length === sids.length) socket.write(mutations.reduce(mutate, Buffer.concat(replies)))
      }
      const outcomes = await Promise.allSettled(sids.map(sid => store.get(sid)))
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.status === 'rejected') {
          expect(outcome.reason).toMatchObject({ name: 'MemcachedStoreError' })
        } else if (outcome.value !== null) {
          served++
          // A byte of a session may be changed, which nobody can see; all of another one must not be there.
          const text = JSON.stringify(outcome.value)
          expect(sids.filter(sid => sid !== sids[index] && text.includes(sid))).toEqual([])
        }
      }
    }
  })
})

/** A key, and what lies under it; several of them are one answer. */
const answers: fc.Arbitrary<string[]> = fc.array(
  fc.constantFrom('a', 'b', 'c', 'd', 'none').map(name => name.repeat(5)),
  { minLength: 1, maxLength: 5 },
)

function jsonOf(key: string): string {
  return `{"owner":"${key}"}`.repeat(3)
}

/** What the text protocol makes of the pieces, while `gets` of these keys are under way. */
function parsedText(
  pieces: Buffer[],
  groups: string[][],
): { replies: [string, string][]; complains: boolean } {
  const replies: [string, string][] = []
  const requests = new RequestQueue()
  for (const [index, keys] of groups.entries()) {
    for (const key of keys) {
      const request = new Request(GET, 0, key)
      request.group = index + 1
      request.onReply = ({ status, text }: Reply) => replies.push([key, status === OK ? text : ''])
      request.onFailure = () => replies.push([key, ''])
      requests.push(request)
    }
  }
  const protocol = new TextProtocol({
    ...lineOf(requests),
    send: request => request.respond(new Reply(NOT_FOUND)),
  })
  return { replies, complains: complainsAt(pieces, protocol) }
}

describe('the text protocol', () => {
  test('whatever comes, it is the same in whatever pieces, and no key gets the value of another', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 10 })
    let served = 0
    fc.assert(
      fc.property(
        fc.array(answers, { minLength: 1, maxLength: 6 }),
        fc.array(mutation, { maxLength: 3 }),
        lengths,
        (groups, mutations, pieces) => {
          const whole = groups.map(keys =>
            keys
              .filter(key => !key.startsWith('none'))
              .map(key => `VALUE ${key} 0 ${jsonOf(key).length} 7\r\n${jsonOf(key)}\r\n`)
              .concat('END\r\n')
              .join(''),
          )
          const stream = mutations.reduce(mutate, Buffer.from(whole.join('')))
          const found = parsedText([Buffer.from(stream)], groups)
          expect(parsedText(inPieces(stream, pieces), groups)).toEqual(found)
          for (const [key, text] of found.replies) {
            if (text === jsonOf(key)) served++
            const others = ['a', 'b', 'c', 'd'].map(name => name.repeat(5)).filter(other => other !== key)
            expect(others.filter(other => text === jsonOf(other))).toEqual([])
          }
        },
      ),
      {
        numRuns: fewOrMany(2000, 10_000),
        // Found once: a line feed within `VALUE`.
        examples: [
          [
            [
              ['aaaaa', 'aaaaa', 'aaaaa'],
              ['aaaaa', 'aaaaa'],
            ],
            [{ at: 0.198, kind: 'change', bytes: Uint8Array.from([10, 0]) }],
            [1],
          ],
        ],
      },
    )
    expect(served).toBeGreaterThan(1000)
  })
})
