import { exchange, type Target } from '../exchange.ts'
import { garbage } from '../failures.ts'
import { NOT_FOUND, OK } from '../reply.ts'
import type { Statistics } from '../statistics.ts'
import {
  AUTH_ERROR,
  frame,
  HEADER_LENGTH,
  loginFrame,
  RESPONSE_MAGIC,
  SASL_AUTH,
  STAT,
  statusError,
  UNKNOWN_COMMAND,
  versionLine,
} from './codes.ts'

/** No reply of these is longer, and all of them together take some 7,000. */
const MAX_BODY = 65_536
const MAX_BYTES: number = 1024 * 1024

/**
 * Asks a server for its statistics and settings over the binary protocol, with its password.
 *
 * @throws MemcachedStoreError - as requests of the store do.
 */
export async function readBinaryStatistics(target: Target, signal: AbortSignal): Promise<Statistics> {
  const { name, username, password } = target.address
  const login = username === undefined || password === undefined ? [] : [loginFrame(username, password)]
  const answer = await ask(target, login, signal)
  const failure = answer.isGarbage ? garbage(name) : statusError(answer.status, name)
  if (failure !== null) throw failure
  return answer
}

/**
 * Does a server speak the binary protocol, and only that one? Then it says so in its settings, or wants a
 * password for them: SASL is of the binary protocol, and memcached switches the other off (memcached.c,
 * `settings.sasl`). So this needs none.
 *
 * @throws MemcachedStoreError - where it does not answer.
 */
export async function isBinaryOnly(target: Target, signal: AbortSignal): Promise<boolean> {
  const { status, settings } = await ask(target, [], signal)
  return status === AUTH_ERROR || settings.get('binding_protocol') === 'binary'
}

async function ask(target: Target, login: readonly Buffer[], signal: AbortSignal): Promise<Answer> {
  // The version is told without a password, and measures the round trip.
  const requests = [versionLine(), ...login, frame(STAT), frame(STAT, 'settings')]
  const answer = new Answer()
  const send = (): Buffer => {
    answer.sent = performance.now()
    return Buffer.concat(requests)
  }
  await exchange(target, send, bytes => answer.read(bytes), signal)
  return answer
}

/** Takes the replies to all of these requests, in their order. */
class Answer implements Statistics {
  readonly protocol = 'binary' as const
  readonly general: Map<string, string> = new Map()
  readonly settings: Map<string, string> = new Map()
  sent = 0
  roundTrip = 0
  /** Of the reply that ended it. */
  status: number = OK
  isGarbage = false
  #group: Map<string, string> = this.general
  #rest: Buffer = Buffer.alloc(0)
  #taken = 0

  /** Is it complete, or nothing to go on with? */
  read(chunk: Buffer): boolean {
    if (this.roundTrip === 0) this.roundTrip = performance.now() - this.sent
    this.#taken += chunk.length
    let bytes = Buffer.concat([this.#rest, chunk])
    // Too short for a reply, but no beginning of one: a server that speaks text only.
    this.isGarbage = bytes.length > 0 && bytes[0] !== RESPONSE_MAGIC
    if (this.isGarbage) return true
    while (bytes.length >= HEADER_LENGTH) {
      const end = HEADER_LENGTH + bytes.readUInt32BE(8)
      this.isGarbage = bytes[0] !== RESPONSE_MAGIC || end > MAX_BODY
      if (this.isGarbage) return true
      if (bytes.length < end) break
      if (this.#take(bytes.subarray(0, end))) return true
      bytes = bytes.subarray(end)
    }
    this.#rest = bytes
    this.isGarbage = this.#taken > MAX_BYTES
    return this.isGarbage
  }

  #take(reply: Buffer): boolean {
    const opcode = reply[1]
    const status = reply.readUInt16BE(6)
    // A server without SASL wants no login.
    if (opcode === SASL_AUTH && status === UNKNOWN_COMMAND) return false
    this.status = status
    if (status !== OK && status !== NOT_FOUND) return true
    if (opcode !== STAT) return false
    const keyEnd = HEADER_LENGTH + reply.readUInt16BE(2)
    if (keyEnd > HEADER_LENGTH) {
      this.#group.set(text(reply, HEADER_LENGTH, keyEnd), text(reply, keyEnd))
      return false
    }
    // A reply without a name ends each group.
    const isLast = this.#group === this.settings
    this.#group = this.settings
    return isLast
  }
}

/** Printable, since people read it on terminals. */
function text(bytes: Buffer, start: number, end?: number): string {
  return bytes.toString('latin1', start, end).replace(/[^\x20-\x7e]/g, '?')
}
