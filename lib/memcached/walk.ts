import { MemcachedStoreError } from '../errors.ts'
import { pause } from '../pause.ts'
import { exchange, type Target } from './exchange.ts'
import { afterGreeting } from './text/after-greeting.ts'

/** A key on a server, and what the server tells of its item. */
export interface ListedItem {
  /** One character for each byte. */
  readonly key: string
  /** Unix seconds; Infinity where it never expires. */
  readonly expires: number
  /** Bytes it takes: key, value and memcached's own; NaN where the server does not say. */
  readonly size: number
}

export interface WalkOptions {
  /** Only keys that begin so. */
  readonly prefix: string
  /** Called with each such key, as fast as the server sends. */
  readonly take: (item: ListedItem) => void
  /** Called now and then with how many keys, of anybody, have been passed since it was called last. */
  readonly progress?: ((keys: number) => void) | undefined
  /** Waited for before each try to walk a hash table; gets the time until which others are waited for. */
  readonly ready?: ((patience: number) => Promise<void>) | undefined
  readonly signal: AbortSignal
}

/** Milliseconds for which a server may be busy with another walk: one of a million keys takes half a second. */
const MAX_BUSY = 10_000
const MAX_PAUSE = 200
/** A key has 250 bytes at most, each written as `%XX`; dates, numbers and names take some 150 more. */
const MAX_LINE = 2048
const MAX_KEY = 250
/** See {@link granted}. */
const TIMEOUTS_AT_FIRST = 10
const MILLISECONDS_PER_KEY = 1
const MAX_TIMEOUTS = 1000
const NEWLINE = 0x0a
const SPACE = 0x20
const PERCENT = 0x25
const MINUS = 0x2d
const ZERO = 0x30
const KEY: Buffer = Buffer.from('key=')
const EXPIRES: Buffer = Buffer.from(' exp=')
const SIZE: Buffer = Buffer.from(' size=')
/** What memcached says where it lists nothing; more words follow. */
const REFUSALS = /^(?:(?:CLIENT_|SERVER_)?ERROR|BUSY|BADCLASS|NOTSTARTED)\b/
const scratch: Buffer = Buffer.alloc(MAX_LINE)

/**
 * Lists the keys of a server with `lru_crawler metadump` of its text protocol (protocol.txt). `hash`
 * walks the hash table, where no key is missed or met twice while it is used or moves between LRUs.
 * Servers before 1.6.9 do not know it and walk the LRUs (`all`), where that may happen to a few.
 *
 * What comes is taken at once, never paused: while a client does not read, memcached's crawler holds
 * a lock, and a second metadump then freezes one of its threads, with all connections of that thread,
 * until the first client reads on (crawler.c, `lru_crawler_write`, `lru_crawler_start`; seen on 1.6.18:
 * a quarter of all connections dead for as long as the pause lasted).
 *
 * No message quotes what the server said: that may be a key, and so a session id.
 *
 * @throws MemcachedStoreError - `ERR_NOT_SUPPORTED` where the server lists no keys, with the reason;
 *   `ERR_UNAVAILABLE` where it stays busy with other walks; `ERR_PROTOCOL` where it sends something else;
 *   what {@link exchange} throws.
 */
export async function walk(target: Target, options: WalkOptions): Promise<void> {
  const patience = performance.now() + MAX_BUSY
  let command = 'hash'
  for (;;) {
    if (command === 'hash') await options.ready?.(patience)
    const answer = await dump(target, command, options)
    // The second is said by later versions while their hash table grows.
    if (/^(BUSY|ERROR locked)/.test(answer)) {
      if (performance.now() > patience) {
        throw new MemcachedStoreError(
          'ERR_UNAVAILABLE',
          `memcached on ${target.address.name} is busy listing keys for somebody else: try again`,
        )
      }
      await pause(MAX_PAUSE * Math.random())
    } else if (/^(END|NOTSTARTED)/.test(answer)) return
    else if (command === 'hash' && answer.startsWith('BADCLASS')) command = 'all'
    else throw refusal(target, answer)
  }
}

/** One try: the line that is no key and ends it. */
async function dump(target: Target, command: string, options: WalkOptions): Promise<string> {
  const lines = new Lines(options)
  const request = `lru_crawler metadump ${command}\r\n`
  const take = (bytes: Buffer): boolean => {
    const before = lines.keys
    const isComplete = lines.read(bytes)
    options.progress?.(lines.keys - before)
    return isComplete
  }
  // Only who has a password may be asked for it.
  const conversation =
    target.address.username === undefined
      ? { opening: request, take }
      : afterGreeting(target.address, request, () => {}, take)
  await exchange(
    target,
    () => conversation.opening,
    (bytes, send) => conversation.take(bytes, send),
    options.signal,
    () => granted(lines.keys, target.timeout),
  )
  if (lines.answer !== null) return lines.answer
  const message = `memcached on ${target.address.name} sent something else than a list of keys`
  throw new MemcachedStoreError('ERR_PROTOCOL', message)
}

/**
 * Timeouts that a walk may take which has passed so many keys. How many there are nobody knows
 * beforehand, and many millions are as good as few: so time is earned by getting on. Ten timeouts to begin
 * with and one millisecond for each key (memcached sends 2,000 in it, and takes 100 kB a second of the
 * network at that pace) end a walk that drips. 1,000 timeouts at most, over eight minutes by
 * default and enough for 50,000,000 keys through a network of 100 Mbit/s, end one that has no end.
 */
export function granted(keys: number, timeout: number): number {
  return Math.min(TIMEOUTS_AT_FIRST + (keys * MILLISECONDS_PER_KEY) / timeout, MAX_TIMEOUTS)
}

/** Takes the lines of a dump, in whatever pieces they come. */
class Lines {
  /** How many have been passed, of anybody. */
  keys = 0
  /** The line that is no key and ends it; null until it comes, and for good where what came is no dump. */
  answer: string | null = null
  readonly #wanted: Buffer
  readonly #take: (item: ListedItem) => void
  #rest: Buffer = Buffer.alloc(0)

  constructor({ prefix, take }: WalkOptions) {
    this.#wanted = Buffer.from(`${KEY}${encode(prefix)}`, 'latin1')
    this.#take = take
  }

  /** Is it at its end, or nothing to go on with? */
  read(chunk: Buffer): boolean {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
      if (end - at > MAX_LINE) return true
      const isKey = startsWith(bytes, at, KEY)
      if (isKey ? !this.#passKey(bytes, at, end) : this.#isEnd(bytes, at, end)) return true
      at = end + 1
    }
    this.#rest = bytes.subarray(at)
    return this.#rest.length > MAX_LINE
  }

  /** False for a line that memcached does not write. */
  #passKey(bytes: Buffer, at: number, end: number): boolean {
    this.keys++
    if (!startsWith(bytes, at, this.#wanted)) return true
    const item = parse(bytes, at, end)
    if (item === null) return false
    this.#take(item)
    return true
  }

  #isEnd(bytes: Buffer, at: number, end: number): boolean {
    const line = bytes.toString('latin1', at, end).trimEnd()
    // Said before the keys since 1.6.43.
    if (line === 'OK' && this.keys === 0) return false
    if (line === 'END' || (this.keys === 0 && REFUSALS.test(line))) this.answer = line
    return true
  }
}

function startsWith(bytes: Buffer, at: number, start: Buffer): boolean {
  for (let i = 0; i < start.length; i++) if (bytes[at + i] !== start[i]) return false
  return true
}

/**
 * `key=<key> exp=<seconds> la=… cas=… fetch=… cls=… size=<bytes>`; later versions append more. Reads
 * bytes rather than texts: a million lines would leave as many texts, and several times more memory.
 *
 * @returns null where the line is none of these.
 */
function parse(bytes: Buffer, start: number, end: number): ListedItem | null {
  let length = 0
  let at = start + KEY.length
  for (; at < end && bytes[at] !== SPACE; at++) {
    let byte = bytes[at] as number
    if (byte === PERCENT) {
      byte = Number.parseInt(bytes.toString('latin1', at + 1, at + 3), 16)
      if (Number.isNaN(byte)) return null
      at += 2
    }
    scratch[length++] = byte
  }
  if (at >= end || length === 0 || length > MAX_KEY) return null
  const expires = numberAfter(bytes, EXPIRES, at, end)
  return {
    key: scratch.toString('latin1', 0, length),
    expires: expires === -1 ? Infinity : expires,
    size: numberAfter(bytes, SIZE, at, end),
  }
}

/** The number behind a name in this line; NaN where there is none. */
function numberAfter(bytes: Buffer, name: Buffer, from: number, end: number): number {
  let at = from
  while (at < end && !startsWith(bytes, at, name)) at++
  if (at >= end) return Number.NaN
  at += name.length
  const isNegative = bytes[at] === MINUS
  if (isNegative) at++
  let number = 0
  for (let digit = (bytes[at] ?? 0) - ZERO; digit >= 0 && digit <= 9; digit = (bytes[++at] ?? 0) - ZERO) {
    number = number * 10 + digit
  }
  return isNegative ? -number : number
}

/** As memcached writes keys (util.c, `uriencode`). */
function encode(key: string): string {
  return key.replace(
    /[^A-Za-z0-9._~-]/g,
    byte => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

/** @param answer - one of {@link REFUSALS}. */
function refusal({ address }: Target, answer: string): MemcachedStoreError {
  const reason = /not allowed/.test(answer)
    ? 'it was started with -X'
    : /crawler disabled/.test(answer)
      ? 'it was started with -o no_lru_crawler'
      : /unauthenticated/.test(answer)
        ? 'its text protocol wants a password (-Y)'
        : `it answered ${REFUSALS.exec(answer)?.[0]} to lru_crawler metadump`
  return new MemcachedStoreError(
    'ERR_NOT_SUPPORTED',
    `memcached on ${address.name} lists no keys, and so no sessions: ${reason}`,
  )
}
