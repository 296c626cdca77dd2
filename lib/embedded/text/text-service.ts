import { type Answer, type Backend, MAX_BODY, MAX_KEY, type Service } from '../service.ts'
import type { StoreMode } from '../storage.ts'
import type { Item } from '../stored-item.ts'

/** Bytes of a line that has no end yet: memcached hangs up on more, unless it is a get of many keys. */
const MAX_LINE = 2048
const MAX_GET_LINE = 128 * 1024

const BAD_FORMAT = 'CLIENT_ERROR bad command line format\r\n'
const CRLF = '\r\n'

type Reply = Iterable<Buffer | string>
/** Replies to the words after the command's name. */
type Command = (backend: Backend, words: readonly string[]) => Reply

/** memcached's text protocol, as far as `COMMANDS` and `STORES` go. */
export class TextService implements Service {
  readonly #backend: Backend

  constructor(backend: Backend) {
    this.#backend = backend
  }

  answer(input: Buffer): Answer | undefined {
    const backend = this.#backend
    const end = input.indexOf('\n')
    if (end === -1) {
      const limit = /^gets? /.test(input.toString('latin1', 0, 5)) ? MAX_GET_LINE : MAX_LINE
      return input.length > limit ? { take: input.length, reply: [], close: true } : undefined
    }
    const line = input.toString('latin1', 0, input[end - 1] === 0x0d ? end - 1 : end)
    const [name = '', ...words] = line.split(' ').filter(word => word !== '')
    if (STORES.has(name)) return store(backend, name, words, input, end + 1)
    const reply = COMMANDS.get(name)?.(backend, words) ?? ['ERROR\r\n']
    return { take: end + 1, reply, close: name === 'quit' }
  }
}

const STORES: ReadonlySet<string> = new Set(['set', 'add', 'replace', 'cas'])

/** `set <key> <flags> <expiration> <length> [noreply]`, or `cas` with its token before `noreply`; then the value. */
function store(
  backend: Backend,
  name: string,
  words: readonly string[],
  input: Buffer,
  lineLength: number,
): Answer | undefined {
  const needed = name === 'cas' ? 5 : 4
  if (words.length < needed || words.length > needed + 1) return { take: lineLength, reply: ['ERROR\r\n'] }
  const reply = (message: string): string[] => (words.at(-1) === 'noreply' ? [] : [message])

  const [key = '', ...numbers] = words.slice(0, needed)
  const [flags = -1, expiration, length = -1, token] = numbers.map(integer)
  const wellFormed =
    key.length <= MAX_KEY && flags >= 0 && length >= 0 && (name !== 'cas' || (token ?? -1) >= 0)
  if (!wellFormed || expiration === undefined) return { take: lineLength, reply: reply(BAD_FORMAT) }

  const mode = name === 'cas' ? { cas: BigInt(numbers[3] ?? 0) } : (name as 'set' | 'add' | 'replace')
  const take = lineLength + length + CRLF.length
  // memcached keeps 32 bits of both.
  const [kept, signed] = [flags >>> 0, expiration | 0]
  if (!backend.storage.fits(key.length, length, kept)) {
    backend.storage.refuse(mode, key)
    return { take, reply: reply('SERVER_ERROR object too large for cache\r\n'), close: length > MAX_BODY }
  }
  if (input.length < take) return undefined
  if (input.toString('latin1', take - CRLF.length, take) !== CRLF) {
    return { take, reply: reply('CLIENT_ERROR bad data chunk\r\n') }
  }
  const outcome = backend.storage.store(mode, key, input.subarray(lineLength, take - 2), kept, signed)
  return { take, reply: reply(typeof outcome === 'string' ? refused(mode, outcome) : 'STORED\r\n') }
}

function refused(mode: StoreMode, refusal: string): string {
  if (typeof mode === 'string') return 'NOT_STORED\r\n'
  return refusal === 'missing' ? 'NOT_FOUND\r\n' : 'EXISTS\r\n'
}

const integer = (word: string): number | undefined =>
  /^[+-]?\d{1,20}$/.test(word) ? Number(word) : undefined

/** Lazy, so that many large values wait here and not in memory. */
function* values(backend: Backend, keys: readonly string[], withCas: boolean): Generator<Buffer | string> {
  for (const key of keys) {
    const item = backend.storage.get(key)
    if (item === undefined) continue
    yield `VALUE ${key} ${item.flags} ${item.value.length}${withCas ? ` ${item.cas}` : ''}\r\n`
    yield item.value
    yield CRLF
  }
  yield 'END\r\n'
}

const get =
  (withCas: boolean): Command =>
  (backend, keys) => {
    if (keys.length === 0) return ['ERROR\r\n']
    return keys.some(key => key.length > MAX_KEY) ? [BAD_FORMAT] : values(backend, keys, withCas)
  }

/** `delete <key> [0] [noreply]`: the 0 is what is left of the delete-with-time that memcached once had. */
const remove: Command = ({ storage }, words) => {
  const [key = '', ...rest] = words
  if (words.length === 0 || words.length > 3) return ['ERROR\r\n']
  const silent = rest.at(-1) === 'noreply'
  const accepted = ['', '0', 'noreply', '0 noreply'].includes(rest.join(' '))
  const respond = (message: string): string[] => (silent ? [] : [message])
  if (key.length > MAX_KEY) return respond(BAD_FORMAT)
  if (!accepted) {
    return respond('CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n')
  }
  return respond(storage.delete(key, 0n) === undefined ? 'DELETED\r\n' : 'NOT_FOUND\r\n')
}

const touch: Command = ({ storage }, words) => {
  const [key = '', time = ''] = words
  if (words.length < 2 || words.length > 3) return ['ERROR\r\n']
  const respond = (message: string): string[] => (words[2] === 'noreply' ? [] : [message])
  if (key.length > MAX_KEY) return respond(BAD_FORMAT)
  const expiration = integer(time)
  if (expiration === undefined) return respond('CLIENT_ERROR invalid exptime argument\r\n')
  return respond(storage.touch(key, expiration | 0) === undefined ? 'NOT_FOUND\r\n' : 'TOUCHED\r\n')
}

const crawl: Command = (backend, words) => {
  const [action, which = ''] = words
  if (action !== 'metadump' || words.length !== 2) return ['ERROR\r\n']
  return which === 'all' || which === 'hash' ? metadump(backend) : ['BADCLASS invalid class id\r\n']
}

function* metadump(backend: Backend): Generator<string> {
  if (backend.dumping) {
    yield 'BUSY currently processing crawler request\r\n'
    return
  }
  backend.dumping = true
  try {
    yield 'OK\r\n'
    for (const item of backend.storage.items()) yield describe(item)
    yield 'END\r\n'
  } finally {
    backend.dumping = false
  }
}

/** One line of a metadump; memcached ends these with a bare line feed. All items are of class 1 here. */
function describe({ key, expires, accessed, cas, fetched, size }: Item): string {
  const name = key.replace(/[^A-Za-z0-9._~-]/g, byte => `%${toHex(byte)}`)
  const expiry = expires === Number.POSITIVE_INFINITY ? -1 : expires
  return `key=${name} exp=${expiry} la=${accessed} cas=${cas} fetch=${fetched ? 'yes' : 'no'} cls=1 size=${size}\n`
}

const toHex = (byte: string): string => byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')

const stats: Command = (backend, [group = '']) => {
  const statistics = backend.stats(group)
  if (statistics === undefined) return ['ERROR\r\n']
  return [...statistics.map(([name, value]) => `STAT ${name} ${value}\r\n`), 'END\r\n']
}

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['get', get(false)],
  ['gets', get(true)],
  ['delete', remove],
  ['touch', touch],
  ['lru_crawler', crawl],
  ['stats', stats],
  ['version', backend => [`VERSION ${backend.version}\r\n`]],
  ['quit', () => []],
])
