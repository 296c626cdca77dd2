import { MemcachedStoreError } from '../errors.ts'
import { saslRequest } from './dial.ts'
import { exchange, type Target } from './exchange.ts'
import {
  HEADER_LENGTH,
  REQUEST_MAGIC,
  RESPONSE_MAGIC,
  SASL_AUTH,
  STAT,
  statusError,
  UNKNOWN_COMMAND,
  VERSION,
} from './protocol.ts'

/** What a server tells of itself, under memcached's names (protocol.txt, "General-purpose statistics", "Settings statistics"). */
export interface Statistics {
  readonly general: ReadonlyMap<string, string>
  readonly settings: ReadonlyMap<string, string>
  /** Milliseconds. */
  readonly roundTrip: number
}

/** No reply of these is longer. */
const MOST_BODY = 65_536

/**
 * Asks a server for its statistics and settings, over the binary protocol: that is what the store
 * speaks, and it works with a password.
 *
 * @throws MemcachedStoreError - as requests of the store do.
 */
export async function readStatistics(target: Target, signal: AbortSignal): Promise<Statistics> {
  const { name, username, password } = target.address
  const login = username === undefined || password === undefined ? [] : [saslRequest(username, password)]
  // The version is told without a password, and measures the round trip.
  const requests = [request(VERSION, ''), ...login, request(STAT, ''), request(STAT, 'settings')]
  const answer = new Answer(name)
  const send = (): Buffer => {
    answer.sent = performance.now()
    return Buffer.concat(requests)
  }
  await exchange(target, send, bytes => answer.read(bytes), signal)
  if (answer.failure !== null) throw answer.failure
  return answer
}

/**
 * Asks only whether a memcached is there that speaks the binary protocol; needs no password.
 *
 * @throws MemcachedStoreError - where there is none.
 */
export async function ping(target: Target, signal: AbortSignal): Promise<void> {
  let reply: Buffer = Buffer.alloc(0)
  const read = (bytes: Buffer): boolean => {
    reply = Buffer.concat([reply, bytes])
    return reply.length >= HEADER_LENGTH
  }
  await exchange(target, () => request(VERSION, ''), read, signal)
  if (reply[0] !== RESPONSE_MAGIC) throw garbage(target.address.name)
}

function garbage(name: string): MemcachedStoreError {
  return new MemcachedStoreError('ERR_PROTOCOL', `memcached on ${name} sent bytes that are no reply`)
}

function request(opcode: number, key: string): Buffer {
  const bytes = Buffer.alloc(HEADER_LENGTH + key.length)
  bytes[0] = REQUEST_MAGIC
  bytes[1] = opcode
  bytes.writeUInt16BE(key.length, 2)
  bytes.writeUInt32BE(key.length, 8)
  bytes.write(key, HEADER_LENGTH, 'latin1')
  return bytes
}

/** Takes the replies to all of these requests, in their order. */
class Answer implements Statistics {
  readonly general: Map<string, string> = new Map()
  readonly settings: Map<string, string> = new Map()
  sent = 0
  roundTrip = 0
  failure: MemcachedStoreError | null = null
  readonly #name: string
  #group: Map<string, string> = this.general
  #rest: Buffer = Buffer.alloc(0)

  constructor(name: string) {
    this.#name = name
  }

  /** Is it complete? */
  read(chunk: Buffer): boolean {
    if (this.roundTrip === 0) this.roundTrip = performance.now() - this.sent
    let bytes = Buffer.concat([this.#rest, chunk])
    while (bytes.length >= HEADER_LENGTH) {
      const end = HEADER_LENGTH + bytes.readUInt32BE(8)
      if (bytes[0] !== RESPONSE_MAGIC || end > MOST_BODY) {
        this.failure = garbage(this.#name)
        return true
      }
      if (bytes.length < end) break
      if (this.#take(bytes.subarray(0, end))) return true
      bytes = bytes.subarray(end)
    }
    this.#rest = bytes
    return false
  }

  #take(reply: Buffer): boolean {
    const opcode = reply[1]
    const status = reply.readUInt16BE(6)
    // A server without SASL wants no login.
    if (opcode === SASL_AUTH && status === UNKNOWN_COMMAND) return false
    this.failure = statusError(status, this.#name)
    if (this.failure !== null) return true
    if (opcode !== STAT) return false
    const keyEnd = HEADER_LENGTH + reply.readUInt16BE(2)
    if (keyEnd > HEADER_LENGTH) {
      this.#group.set(reply.toString('latin1', HEADER_LENGTH, keyEnd), reply.toString('latin1', keyEnd))
      return false
    }
    // A reply without a name ends each group.
    const isLast = this.#group === this.settings
    this.#group = this.settings
    return isLast
  }
}
