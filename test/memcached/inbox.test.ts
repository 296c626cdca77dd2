import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemcachedStoreError } from '../../lib/errors.ts'
import { Inbox } from '../../lib/memcached/inbox.ts'
import type { Protocol, Rest } from '../../lib/memcached/protocol.ts'

const LENGTH = 4

/** Replies that begin with their length, which is not told before all of it has come; one of 0 bytes is refused. */
class Counted implements Protocol {
  readonly valueEnd: null = null
  readonly replies: string[] = []
  /** Of what was to be read. */
  readonly lengths: number[] = []

  encode(): number {
    return 0
  }

  parse(bytes: Buffer): Rest | MemcachedStoreError | null {
    this.lengths.push(bytes.length)
    let at = 0
    while (at < bytes.length) {
      if (bytes.length - at < LENGTH) return { at, length: null }
      const length = bytes.readUInt32BE(at)
      if (length === 0) return new MemcachedStoreError('ERR_PROTOCOL', 'nothing')
      if (bytes.length - at < LENGTH + length) return { at, length: LENGTH + length }
      this.replies.push(bytes.toString('latin1', at + LENGTH, at + LENGTH + length))
      at += LENGTH + length
    }
    return null
  }
}

function framed(text: string): Buffer {
  const bytes = Buffer.alloc(LENGTH + text.length)
  bytes.writeUInt32BE(text.length)
  bytes.write(text, LENGTH, 'latin1')
  return bytes
}

/** In pieces of these lengths, over and over, each in the place of the one before it. */
function deliver(inbox: Inbox, stream: Buffer, lengths: number[]): MemcachedStoreError | null {
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const length = lengths[turn % lengths.length] as number
    const copied = stream.copy(inbox.buffer, 0, at, at + length)
    const error = inbox.take(inbox.buffer.subarray(0, copied))
    if (error !== null) return error
    at += copied
  }
  return null
}

describe('what comes', () => {
  test('is the same in whatever pieces', () => {
    const texts = fc.array(fc.string({ minLength: 1, maxLength: 50, unit: 'binary-ascii' }), {
      maxLength: 20,
    })
    const lengths = fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 10 })
    fc.assert(
      fc.property(texts, lengths, (replies, pieces) => {
        const protocol = new Counted()
        expect(deliver(new Inbox(protocol), Buffer.concat(replies.map(framed)), pieces)).toBeNull()
        expect(protocol.replies).toEqual(replies)
      }),
    )
  })

  test('is put together in room for one reply, where that is longer than the buffer', () => {
    const protocol = new Counted()
    const inbox = new Inbox(protocol)
    const long = 'l'.repeat(3 * inbox.buffer.length)
    const stream = Buffer.concat(['a', long, 'b'].map(framed))
    expect(deliver(inbox, stream, [inbox.buffer.length])).toBeNull()
    expect(protocol.replies).toEqual(['a', long, 'b'])
    expect(protocol.lengths).toEqual([inbox.buffer.length, LENGTH + long.length, LENGTH + 1])
  })

  test.each([
    ['in one piece', 100],
    ['byte by byte', 1],
    ['behind a reply that came in pieces', 6],
  ])('ends where it is refused: %s', (_, length) => {
    const protocol = new Counted()
    const stream = Buffer.concat([framed('abc'), Buffer.alloc(LENGTH), framed('late')])
    const error = deliver(new Inbox(protocol), stream, [length])
    expect(error?.code).toBe('ERR_PROTOCOL')
    expect(protocol.replies).toEqual(['abc'])
  })
})
