import { AsyncResource } from 'node:async_hooks'
import { Utils } from 'memjs'
import { closedError, MemcachedStoreError } from '../errors.ts'
import { RESPONSE_MAGIC, statusError } from './binary/codes.ts'
import type { Item, MemcachedNode, ReplyCallback, Version, WriteMode } from './node.ts'
import { Reply } from './reply.ts'
import { DELETE, GET, OPERATIONS } from './request.ts'
import { CasVersion } from './version.ts'

/** What the store uses of a memjs `Client`. */
export interface MemjsClient {
  /** The number of the next request, by which memjs tells replies apart. */
  seq: number
  /** Takes the next number. */
  incrSeq(): void
  /** Sends a request to the server of this key. */
  perform(
    key: string,
    request: Buffer,
    seq: number,
    callback: (error: Error | null, response: MemjsResponse | null) => void,
  ): void
}

/** What memjs hands to the callback of `perform`. */
export interface MemjsResponse {
  /** Of the reply, as memcached's binary protocol has it. */
  header: {
    /** The first byte: that of a response. */
    magic: number
    /** The operation that this replies to. */
    opcode: number
    /** 0 where it succeeded. */
    status: number
    /** The item's version: eight bytes. */
    cas: Buffer
  }
  /** What an operation replies beside the value, such as an item's flags. */
  extras: Buffer
  /** The item's value. */
  val: Buffer
}

const CAS_OFFSET = 16
/** memjs counts into the sign bit, where its own encoder throws. */
const LAST_SEQ = 0x7fff_ffff
const NO_EXTRAS: Buffer = Buffer.alloc(0)

/**
 * A memjs client that the application brought. It routes and connects by itself, with memjs's faults;
 * what can be mended from outside is: every operation ends by the store's deadline, and once.
 */
export class ClientNode implements MemcachedNode {
  readonly address = 'the given memjs client'
  readonly #client: MemjsClient
  readonly #timeout: number
  #closed = false

  constructor(client: MemjsClient, timeout: number) {
    this.#client = client
    this.#timeout = timeout
  }

  get(key: string, done: ReplyCallback): void {
    this.#perform(GET, { key, value: '' }, NO_EXTRAS, null, done)
  }

  write(mode: WriteMode, item: Item, version: Version | null, done: ReplyCallback): void {
    const extras = Buffer.allocUnsafe(8)
    extras.writeUInt32BE(item.flags, 0)
    extras.writeUInt32BE(item.expiration, 4)
    this.#perform(OPERATIONS[mode], item, extras, version as CasVersion | null, done)
  }

  delete(key: string, version: Version | null, done: ReplyCallback): void {
    this.#perform(DELETE, { key, value: '' }, NO_EXTRAS, version as CasVersion | null, done)
  }

  async walk(): Promise<never> {
    throw new MemcachedStoreError(
      'ERR_NOT_SUPPORTED',
      'Sessions cannot be listed through a `client` of your own: give the store `servers`',
    )
  }

  async statistics(): Promise<never> {
    throw new MemcachedStoreError(
      'ERR_NOT_SUPPORTED',
      'Servers cannot be asked through a `client` of your own: give the store `servers`',
    )
  }

  /** The client belongs to the application, which closes it. */
  async close(): Promise<void> {
    this.#closed = true
  }

  #perform(
    opcode: number,
    { key, value }: Pick<Item, 'key' | 'value'>,
    extras: Buffer,
    version: CasVersion | null,
    done: ReplyCallback,
  ): void {
    if (this.#closed) {
      process.nextTick(done, closedError(), null)
      return
    }
    const client = this.#client
    if (client.seq >= LAST_SEQ || client.seq < 0) client.seq = 0
    client.incrSeq()
    const request = Utils.makeRequestBuffer(opcode, key, extras, value, client.seq)
    request.writeUInt32BE(version?.high ?? 0, CAS_OFFSET)
    request.writeUInt32BE(version?.low ?? 0, CAS_OFFSET + 4)
    // memjs may answer twice, or never: the first of answer and deadline counts.
    let settled = false
    const settle: ReplyCallback = (error, reply) => {
      if (settled) return
      settled = true
      clearTimeout(deadline)
      done(error, reply)
    }
    const deadline = setTimeout(() => {
      settle(
        new MemcachedStoreError('ERR_TIMEOUT', `No answer from memcached within ${this.#timeout} ms`),
        null,
      )
    }, this.#timeout)
    const take = (error: Error | null, response: MemjsResponse | null): void => {
      if (error !== null || response === null) {
        settle(
          new MemcachedStoreError('ERR_UNAVAILABLE', 'memcached cannot be reached', { cause: error }),
          null,
        )
      } else if (response.header.magic !== RESPONSE_MAGIC || response.header.opcode !== opcode) {
        // After a cut reply memjs reads on in the middle of another.
        settle(new MemcachedStoreError('ERR_PROTOCOL', 'memjs took a reply for another'), null)
      } else {
        const failure = statusError(response.header.status, this.address)
        settle(failure, failure === null ? toReply(client, response) : null)
      }
    }
    // memjs answers in the async context of whoever asked first.
    client.perform(key, request, client.seq, AsyncResource.bind(take))
  }
}

/** memjs does not tell when it replaces a connection, so versions live as long as the client. */
function toReply(life: object, { header, extras, val }: MemjsResponse): Reply {
  const { cas, status } = header
  const [high, low] = [cas.readUInt32BE(0), cas.readUInt32BE(4)]
  const version = high === 0 && low === 0 ? null : new CasVersion(life, high, low)
  const reply = new Reply(status, version, val)
  if (extras.length === 4) reply.flags = extras.readUInt32BE(0)
  return reply
}
