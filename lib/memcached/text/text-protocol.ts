import { ConnectionLostError, type MemcachedStoreError } from '../../errors.ts'
import { garbage, outOfMemory, refused, tooLarge, wrongCredentials } from '../failures.ts'
import { leavesApart, type Page } from '../page.ts'
import type { Line, Protocol, Rest } from '../protocol.ts'
import { EXISTS, NOT_FOUND, OK, Reply } from '../reply.ts'
import { ADD, GET, REPLACE, Request, SET } from '../request.ts'
import { CasVersion } from '../version.ts'

/**
 * Keys that are asked for at once, and their bytes: memcached before 1.6.35 sends a packet for each `gets`, at
 * five times its CPU; ElastiCache Serverless takes 16 kB of keys.
 */
const MAX_KEYS = 64
const MAX_KEY_BYTES = 8192
/** A key has 250 bytes at most, and a complaint of a server is short. */
const MAX_LINE = 2048
/** Unix time, long ago: an item that is stored so is gone. `cas` with it is a `delete` on a condition. */
const PAST = 2_592_001
/** memcached's field has 31 bits here, and what is beyond is gone at once; 0 is never. */
const MAX_EXPIRATION = 0x7fff_ffff
/** As many digits as a number holds exactly. */
const MAX_DIGITS = 15

const SPACE = 0x20
const CR = 0x0d
const LF = 0x0a
const ZERO = 0x30
const LETTER_V = 0x56
const VALUE = 'VALUE '
const STORED = 'STORED\r\n'
const END = 'END\r\n'
const CRLF: Buffer = Buffer.from('\r\n')
const VERBS: Record<number, string> = { [SET]: 'set', [ADD]: 'add', [REPLACE]: 'replace' }

/**
 * The classic text protocol (protocol.txt) on one connection. Replies carry no number: their order alone tells
 * whose they are. Values are views of the bytes that came.
 */
export class TextProtocol implements Protocol {
  readonly valueEnd: Buffer = CRLF
  readonly #line: Line
  /** Counts the `gets` that were sent; each {@link Request.group} is one. */
  #group = 0
  #groupSize = 0
  #groupBytes = 0
  /** Where the last one ends, on the page. */
  #groupEnd = -1
  /** Whose values are coming: {@link Request.group}; 0 for nobody's. */
  #answering = 0
  /** What has been answered of that. */
  #answered: Request[] = []
  /** Has it told a version? Without them (`-C`) updates are lost: nobody may take a write for done. */
  #countsVersions = false
  /** Where to read on. */
  #at = 0

  constructor(line: Line) {
    this.#line = line
  }

  encode(request: Request, page: Page, at: number, isFirst: boolean): number {
    if (request.operation === GET) return this.#encodeGet(request, page, at, isFirst)
    const { bytes } = page
    const { key, item, version } = request
    const token = version === null ? '' : tokenOf(version)
    if (item === null) {
      const line = token === '' ? `delete ${key}\r\n` : `cas ${key} 0 ${PAST} 0 ${token}\r\n\r\n`
      return at + bytes.latin1Write(line, at)
    }
    const { value, flags } = item
    const expiration = item.expiration > MAX_EXPIRATION ? 0 : item.expiration
    const verb = token === '' ? VERBS[request.operation] : 'cas'
    const before = `${verb} ${key} ${flags} ${expiration} `
    const after = token === '' ? '\r\n' : ` ${token}\r\n`
    if (leavesApart(value)) return at + bytes.latin1Write(`${before}${value.length}${after}`, at)
    // Most texts have a byte for each character: counting them first would cost as much as writing them.
    let end = at + bytes.latin1Write(`${before}${value.length}${after}`, at)
    const start = end
    end += typeof value === 'string' ? bytes.utf8Write(value, end) : value.copy(bytes, end)
    if (end - start !== value.length) {
      end = at + bytes.latin1Write(`${before}${end - start}${after}`, at)
      end += bytes.utf8Write(value as string, end)
    }
    bytes[end] = CR
    bytes[end + 1] = LF
    return end + 2
  }

  /** Reads that follow each other are one. */
  #encodeGet(request: Request, { bytes }: Page, at: number, isFirst: boolean): number {
    const { key } = request
    const joins =
      !isFirst &&
      at === this.#groupEnd &&
      this.#groupSize < MAX_KEYS &&
      this.#groupBytes + key.length < MAX_KEY_BYTES &&
      !this.#line.findings.isProxy
    if (!joins) {
      this.#groupSize = 0
      this.#groupBytes = 0
      this.#group++
    }
    this.#groupSize++
    this.#groupBytes += key.length + 1
    request.group = this.#group
    let end = at
    if (joins) bytes[end - CRLF.length] = SPACE
    else end += bytes.latin1Write('gets ', end) + 1
    end += bytes.latin1Write(key, end - 1) - 1
    bytes[end] = CR
    bytes[end + 1] = LF
    this.#groupEnd = end + CRLF.length
    return this.#groupEnd
  }

  parse(bytes: Buffer): Rest | MemcachedStoreError | null {
    const { requests } = this.#line
    this.#at = 0
    while (this.#at < bytes.length) {
      const at = this.#at
      const { first } = requests
      if (first === null && this.#answering === 0) return garbage(this.#line.server, 'a reply to nobody')
      const isValue = bytes[at] === LETTER_V
      const obstacle = isValue ? this.#takeValue(bytes) : this.#takeLine(bytes)
      if (obstacle !== null) return obstacle
    }
    return null
  }

  /** `VALUE <key> <flags> <bytes> <token>`, and the value. */
  #takeValue(bytes: Buffer): Rest | MemcachedStoreError | null {
    const { requests, server, maxBody } = this.#line
    const at = this.#at
    const group = this.#answering === 0 ? (requests.first?.group ?? 0) : this.#answering
    const isValue = group !== 0 && begins(bytes, at, VALUE)
    const request = isValue ? this.#askedFor(bytes, at + VALUE.length, group) : null
    if (request === null)
      return this.#incomplete(bytes, at) ?? garbage(server, 'a value that nobody asked for')
    this.#at = at + VALUE.length + request.key.length
    const flags = this.#number(bytes)
    const length = this.#number(bytes)
    const version = this.#version(bytes)
    if (bytes[this.#at] !== CR || bytes[this.#at + 1] !== LF || flags === -1 || length === -1) {
      return this.#incomplete(bytes, at) ?? garbage(server)
    }
    if (length > maxBody) return garbage(server, 'a reply longer than any session')
    const start = this.#at + CRLF.length
    const end = start + length
    if (end + CRLF.length > bytes.length) return { at, length: end + CRLF.length - at }
    if (bytes[end] !== CR || bytes[end + 1] !== LF) return garbage(server)
    this.#at = end + CRLF.length
    this.#answering = group
    requests.remove(request)
    this.#answered.push(request)
    const reply = new Reply(OK, version, bytes, start, end)
    reply.flags = flags
    request.respond(reply)
    return null
  }

  /** Proxies give values in an order of their own. */
  #askedFor(bytes: Buffer, at: number, group: number): Request | null {
    let request = this.#line.requests.first
    for (; request !== null && request.group === group; request = request.next) {
      if (isWord(bytes, at, request.key)) return request
    }
    return null
  }

  /** After a space; -1 where there is none. */
  #number(bytes: Buffer): number {
    if (bytes[this.#at] !== SPACE) return -1
    let number = 0
    const start = ++this.#at
    for (let digit = digitAt(bytes, start); digit !== -1; digit = digitAt(bytes, ++this.#at)) {
      number = number * 10 + digit
    }
    return this.#at === start ? -1 : number
  }

  /** Null where the server counts none: it says 0, or nothing. */
  #version(bytes: Buffer): CasVersion | null {
    const start = this.#at + 1
    const number = this.#number(bytes)
    if (number <= 0) return null
    this.#countsVersions = true
    if (this.#at - start <= MAX_DIGITS) {
      return new CasVersion(this.#line, Math.floor(number / 2 ** 32), number % 2 ** 32)
    }
    const token = BigInt(bytes.latin1Slice(start, this.#at))
    return new CasVersion(this.#line, Number(token >> 32n), Number(token & 0xffff_ffffn))
  }

  /** Any other line. */
  #takeLine(bytes: Buffer): Rest | MemcachedStoreError | null {
    const at = this.#at
    const { requests, server } = this.#line
    const { first } = requests
    const isRead = this.#answering !== 0 || (first as Request).operation === GET
    // The hot paths.
    if (isRead && begins(bytes, at, END)) {
      this.#at = at + END.length
      this.#endGroup()
      return null
    }
    if (!isRead && begins(bytes, at, STORED)) {
      this.#at = at + STORED.length
      this.#answer(requests.shift(), OK)
      return null
    }
    const end = bytes.indexOf(LF, at) + 1
    if (end === 0) return this.#incomplete(bytes, at)
    if (bytes[end - CRLF.length] !== CR) return garbage(server)
    this.#at = end
    const line = bytes.latin1Slice(at, end - CRLF.length)
    if (line.startsWith('SERVER_ERROR')) {
      this.#serverFailed(line, isRead)
      return null
    }
    const status = isRead ? -1 : statusOf(line, (first as Request).operation)
    if (status === -1) return complaintOf(line, server)
    this.#answer(requests.shift(), status)
    return null
  }

  /** A write. Replies tell no versions; whether the server counts any is found out by reading, once. */
  #answer(request: Request, status: number): void {
    const reply = new Reply(status)
    reply.tellsVersion = false
    if (status !== OK || this.#countsVersions) {
      request.respond(reply)
      return
    }
    const look = new Request(GET, 0, request.key)
    look.deadline = request.deadline
    look.onFailure = () => request.respond(reply)
    look.onReply = found => {
      reply.tellsVersion = found.status === OK && found.version === null
      request.respond(reply)
    }
    this.#line.send(look)
  }

  /** What was not among the values is not there. */
  #endGroup(): void {
    const answered = this.#answered
    this.#answered = []
    const { first } = this.#line.requests
    if (this.#answering !== 0 && first?.group !== this.#answering) {
      this.#answering = 0
      return
    }
    for (const request of this.#takeGroup()) {
      // A key that was asked for twice, and a server that answers once.
      if (answered.some(({ key }) => key === request.key)) this.#line.send(request)
      else request.respond(new Reply(NOT_FOUND))
    }
  }

  /** What has not been answered yet of the `gets` whose answer comes. */
  #takeGroup(): Request[] {
    const { requests } = this.#line
    const group = this.#answering === 0 ? (requests.first as Request).group : this.#answering
    this.#answering = 0
    const taken: Request[] = []
    while (requests.first !== null && requests.first.group === group) taken.push(requests.shift())
    return taken
  }

  /** One request failed; the stream is in step. */
  #serverFailed(line: string, isRead: boolean): void {
    const { server, findings, requests } = this.#line
    if (!isRead) {
      const request = requests.shift()
      request.fail(writeFailure(line, server) ?? this.#unknown(line, request))
      return
    }
    const group = this.#takeGroup()
    this.#answered = []
    // A proxy answers so where one of many servers is away, and may close: each is asked for alone from now on.
    if (group.length > 1) {
      findings.isProxy = true
      for (const request of group) this.#line.send(request)
    } else {
      for (const request of group) request.fail(refused(server, line))
    }
  }

  /** A proxy may have lost its server after that has carried it out. */
  #unknown(line: string, request: Request): MemcachedStoreError {
    const { server } = this.#line
    const { code, message } = refused(server, line)
    return new ConnectionLostError(code, message).withRemaining(this.#line.left(request))
  }

  /** Where the line that begins here has no end yet. */
  #incomplete(bytes: Buffer, at: number): Rest | MemcachedStoreError | null {
    if (bytes.indexOf(LF, at) !== -1) return null
    return bytes.length - at > MAX_LINE ? garbage(this.#line.server) : { at, length: null }
  }
}

/** Byte by byte: no line of a well server costs a string. */
function begins(bytes: Buffer, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false
  }
  return true
}

/** The CAS token as text. */
function tokenOf({ high, low }: CasVersion): string {
  const number = high * 2 ** 32 + low
  return Number.isSafeInteger(number) ? `${number}` : `${(BigInt(high) << 32n) + BigInt(low)}`
}

/** Is this word there, and a space after it? */
function isWord(bytes: Buffer, at: number, word: string): boolean {
  const { length } = word
  for (let i = 0; i < length; i++) if (bytes[at + i] !== word.charCodeAt(i)) return false
  return bytes[at + length] === SPACE
}

function digitAt(bytes: Buffer, at: number): number {
  const digit = (bytes[at] ?? 0) - ZERO
  return digit >= 0 && digit <= 9 ? digit : -1
}

/** -1 for what is no answer to such a request. */
function statusOf(line: string, operation: number): number {
  switch (line) {
    case 'STORED':
    case 'DELETED':
      return OK
    case 'NOT_STORED':
      return operation === ADD ? EXISTS : NOT_FOUND
    case 'EXISTS':
      return EXISTS
    case 'NOT_FOUND':
      return NOT_FOUND
    default:
      return -1
  }
}

/** After these words the body of a request may be read as commands: the connection ends. */
function complaintOf(line: string, server: string): MemcachedStoreError {
  if (line === 'CLIENT_ERROR unauthenticated') return wrongCredentials(server)
  return /^(CLIENT_)?ERROR\b/.test(line)
    ? garbage(server, 'an ERROR: it does not know a command')
    : garbage(server)
}

/** A refusal that leaves no doubt. */
function writeFailure(line: string, server: string): MemcachedStoreError | null {
  if (/too large/.test(line)) return tooLarge(server)
  return /out of memory/.test(line) ? outOfMemory(server) : null
}
