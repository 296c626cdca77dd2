import { MemcachedStoreError } from '../errors.ts'
import { pause } from '../pause.ts'
import { exchange, type Target } from './exchange.ts'

/** A key on a server, and what the server tells of its item. */
export interface ListedItem {
  /** One character for each byte. */
  readonly key: string
  /** Unix seconds; Infinity where it never expires. */
  readonly expires: number
  /** Bytes it takes: key, value and memcached's own. */
  readonly size: number
}

export interface WalkOptions {
  /** Only keys that begin so. */
  readonly prefix: string
  /** Called with each such key, as fast as the server sends. */
  readonly take: (item: ListedItem) => void
  /** Called now and then with how many keys, of anybody, have been passed since it was called last. */
  readonly progress?: ((keys: number) => void) | undefined
  readonly signal: AbortSignal
}

/** Milliseconds for which a server may be busy with another walk: one of a million keys takes half a second. */
const LONGEST_BUSY = 10_000
const LONGEST_PAUSE = 200
/** A key has 250 bytes at most, each written as `%XX`; dates, numbers and names take some 150 more. */
const LONGEST_LINE = 2048
const NEWLINE = 0x0a
const SPACE = 0x20
const PERCENT = 0x25
const MINUS = 0x2d
const ZERO = 0x30
const KEY = 'key='
const EXPIRES: Buffer = Buffer.from(' exp=')
const SIZE: Buffer = Buffer.from(' size=')
const scratch: Buffer = Buffer.alloc(LONGEST_LINE)

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
 * @throws MemcachedStoreError - `ERR_NOT_SUPPORTED` where the server lists no keys, with the reason;
 *   `ERR_UNAVAILABLE` where it stays busy with other walks; what {@link exchange} throws.
 */
export async function walk(target: Target, options: WalkOptions): Promise<void> {
  const patience = performance.now() + LONGEST_BUSY
  let command = 'hash'
  for (;;) {
    const answer = await dump(target, command, options)
    // The second is said by later versions while their hash table grows.
    if (/^(BUSY|ERROR locked)/.test(answer)) {
      if (performance.now() > patience) {
        throw new MemcachedStoreError(
          'ERR_UNAVAILABLE',
          `memcached on ${target.address.name} is busy listing keys for somebody else: try again`,
        )
      }
      await pause(LONGEST_PAUSE * Math.random())
    } else if (/^(END|NOTSTARTED)/.test(answer)) return
    else if (command === 'hash' && answer.startsWith('BADCLASS')) command = 'all'
    else throw refusal(target, answer)
  }
}

/** One try: the line that is no key and ends it. */
async function dump(
  target: Target,
  command: string,
  { prefix, take, progress, signal }: WalkOptions,
): Promise<string> {
  const wanted = Buffer.from(KEY + encode(prefix), 'latin1')
  let rest: Buffer = Buffer.alloc(0)
  let answer = ''
  let isGarbage = false
  const read = (bytes: Buffer): boolean => {
    const lines = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    let keys = 0
    let at = 0
    for (let end = lines.indexOf(NEWLINE); end !== -1; end = lines.indexOf(NEWLINE, at)) {
      if (!startsWith(lines, at, wanted, KEY.length)) {
        answer = lines.toString('latin1', at, Math.min(end, at + 100)).trim()
        isGarbage = keys > 0 && answer !== 'END'
        break
      }
      if (startsWith(lines, at, wanted, wanted.length)) take(parse(lines, at))
      keys++
      at = end + 1
    }
    progress?.(keys)
    rest = lines.subarray(at)
    isGarbage ||= rest.length > LONGEST_LINE && !rest.includes(NEWLINE)
    return answer !== '' || isGarbage
  }
  await exchange(target, () => `lru_crawler metadump ${command}\r\n`, read, signal)
  if (isGarbage) {
    const message = `memcached on ${target.address.name} sent something else than a list of keys`
    throw new MemcachedStoreError('ERR_PROTOCOL', message)
  }
  return answer
}

function startsWith(bytes: Buffer, at: number, start: Buffer, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[at + i] !== start[i]) return false
  return true
}

/**
 * `key=<key> exp=<seconds> la=… cas=… fetch=… cls=… size=<bytes>`; later versions append more. Reads
 * bytes rather than texts: a million lines would leave as many texts, and several times more memory.
 */
function parse(bytes: Buffer, start: number): ListedItem {
  let length = 0
  let at = start + KEY.length
  for (let byte = bytes[at]; byte !== SPACE; byte = bytes[++at]) {
    if (byte === PERCENT) {
      scratch[length++] = Number.parseInt(bytes.toString('latin1', at + 1, at + 3), 16)
      at += 2
    } else {
      scratch[length++] = byte as number
    }
  }
  const expires = numberAfter(bytes, EXPIRES, at)
  return {
    key: scratch.toString('latin1', 0, length),
    expires: expires === -1 ? Infinity : expires,
    size: numberAfter(bytes, SIZE, at),
  }
}

/** The number behind a name; NaN where there is none. */
function numberAfter(bytes: Buffer, name: Buffer, from: number): number {
  const found = bytes.indexOf(name, from)
  let at = found + name.length
  const isNegative = bytes[at] === MINUS
  if (isNegative) at++
  let number = found === -1 ? Number.NaN : 0
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

function refusal({ address }: Target, answer: string): MemcachedStoreError {
  const reason = /not allowed/.test(answer)
    ? 'it was started with -X'
    : /crawler disabled/.test(answer)
      ? 'it was started with -o no_lru_crawler'
      : `it answered \`${answer.replace(/[^\x20-\x7e]/g, '?')}\` to lru_crawler metadump`
  return new MemcachedStoreError(
    'ERR_NOT_SUPPORTED',
    `memcached on ${address.name} lists no keys, and so no sessions: ${reason}`,
  )
}
