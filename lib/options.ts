import type { ConnectionOptions } from 'node:tls'
import { inspect } from 'node:util'
import type { SessionData, Store } from 'express-session'
import { defaultServers, parseServers, type ServerAddress } from './memcached/address.ts'
import type { MemjsClient } from './memcached/client-node.ts'
import type { Serializer } from './session/codec.ts'
import type { TtlFunction } from './session/expiry.ts'
import { parseJson, stringifyJson } from './session/json.ts'

/**
 * Settles two overlapping saves of one session. Gets plain copies: what this request read, what it
 * wants to save, and what another request saved meanwhile. What it returns is stored; what it throws
 * fails this save.
 */
export type ConflictResolver = (
  base: SessionData,
  mine: SessionData,
  theirs: SessionData,
) => SessionData | Promise<SessionData>

/** Whose session this is: the option `userOf`; undefined for nobody's. */
export type UserOf = (session: SessionData) => string | undefined

/** Addresses, as the option `servers` takes them: one server, several with commas, or a list. */
export type Servers = string | readonly string[]

/** Tells which servers there are now: for the option `servers`. */
export type ServersFunction = () => Servers | Promise<Servers>

/** Options of `MemcachedStore`. All have defaults; `undefined` is the same as leaving one out. */
export interface MemcachedStoreOptions {
  /**
   * The servers: `host`, `host:port`, `[::1]:port`, `user:pass@host:port` (percent-encoded),
   * `/path/to.sock`, `memcached://…`, `memcacheds://…` (TLS), `memcached+text://…`; one, several with commas, or a list.
   * Each session lives on one of them, chosen as libmemcached's `ketama_weighted` does.
   *
   * Or a function that gives these, or a promise of them: it is asked at the start, again every `refresh` seconds,
   * and every second while no server can be reached. Where it fails, or gives nothing, things stay as they are. Until it
   * has answered once, operations wait for it, within their `timeout`. See docs/changing-servers.md.
   *
   * @defaultValue the environment's `MEMCACHED_SERVERS`, `MEMCACHIER_SERVERS` or `MEMCACHE_SERVERS`, else `localhost:11211`
   */
  servers?: Servers | ServersFunction | undefined

  /**
   * Seconds after which a function in `servers` is asked again.
   *
   * @defaultValue 60
   */
  refresh?: number | undefined

  /**
   * A memjs client of your own instead of `servers`, `protocol`, `username`, `password` and `tls`. It is never closed
   * by the store.
   *
   * @defaultValue none: the store has connections of its own
   */
  client?: MemjsClient | undefined

  /**
   * What to speak with the servers: `'auto'` finds out for each, and prefers `'binary'`; `'text'` is what proxies and
   * most managed services understand. `memcached+text://…` says it for one server.
   *
   * @defaultValue `'auto'`
   */
  protocol?: 'auto' | 'binary' | 'text' | undefined

  /**
   * User for servers that name none in their address: SASL PLAIN, or the text protocol's login. Goes with `password`.
   *
   * @defaultValue no login
   */
  username?: string | undefined

  /**
   * The password of `username`.
   *
   * @defaultValue no login
   */
  password?: string | undefined

  /**
   * TLS for all servers: `true`, or options of Node's `tls.connect` (`ca`, `cert`, `key`, `servername` …).
   * Certificates and host names are verified unless these options say otherwise.
   *
   * @defaultValue only servers written as `memcacheds://…`
   */
  tls?: boolean | ConnectionOptions | undefined

  /**
   * Key = prefix + session id. Printable ASCII without spaces, at most 200 characters. Of two
   * applications on one server no prefix may begin with the other's: `a:` would list and clear `a:b:` too.
   *
   * @defaultValue `'sess:'`
   */
  prefix?: string | undefined

  /**
   * Seconds a session lives where its cookie has no expiry; or a function that decides for every
   * session, whatever its cookie says. 0 or less destroys the session. A fraction is rounded up, since
   * memcached alone ends such a session, by whole seconds.
   *
   * @defaultValue 86400
   */
  ttl?: number | TtlFunction | undefined

  /**
   * Seconds a session's stored expiry may lag behind, so that requests that only read cost no write.
   * No session dies earlier for it; one may live this much longer, and a second. 0 refreshes on every
   * request. Rounded down to whole seconds for sessions that memcached alone ends: see `ttl`.
   *
   * @defaultValue 1 % of the session's life, at most 300
   */
  touchAfter?: number | undefined

  /**
   * What happens when a session was changed between this request's read and its save: `'merge'`
   * keeps both sides' changes (on the same value the later write wins), `'overwrite'` lets the later
   * save win whole, `'reject'` fails it with `ERR_CONFLICT`, a function decides. A logout stays one
   * in every mode.
   *
   * @defaultValue `'merge'`
   */
  onConflict?: 'merge' | 'overwrite' | 'reject' | ConflictResolver | undefined

  /**
   * Seconds for which a destroyed session is remembered, so that requests which loaded it before cannot
   * bring it back. A session that is missing when it is saved is written again only where its request read
   * it less than this ago: later nobody can tell an eviction from a logout, and it stays gone. So it should
   * be longer than the longest request; who holds a session for longer reloads it before saving.
   * 0 leaves no tombstone.
   *
   * @defaultValue 300
   */
  tombstone?: number | undefined

  /**
   * What the application sees while no server can be reached: `'error'` gives errors with status
   * 503, `'anonymous'` lets express-session serve requests without a session (`req.session` is
   * undefined) until a server is back.
   *
   * @defaultValue `'error'`
   */
  onUnavailable?: 'error' | 'anonymous' | undefined

  /**
   * Milliseconds after which one memcached operation has failed, with `ERR_TIMEOUT`, connecting included.
   *
   * @defaultValue 500
   */
  timeout?: number | undefined

  /**
   * The servers' `-I`, in bytes. Larger sessions are refused with `ERR_TOO_LARGE` and never sent:
   * memcached deletes the old item when it refuses a new one.
   *
   * @defaultValue 1048576
   */
  maxItemSize?: number | undefined

  /**
   * Whose session this is: a string that stands for one user, such as an id, or undefined for nobody. With it
   * the store keeps an index of every user's sessions, for `sessionsOf` and `destroyAllOf`, which is
   * written when a session's user changes: two round trips more for a login, none for other requests.
   * 1,000 sessions of one user may live (fewer where their ids fill half of `maxItemSize`): a login beyond
   * them destroys the oldest.
   *
   * Called with what was read and with what is saved, so it must tell by the data alone. What it throws
   * fails the save.
   *
   * @defaultValue no index
   */
  userOf?: UserOf | undefined

  /**
   * Encrypts what is stored (AES-256-GCM): one secret of 32 characters or more, or a list. The first seals, all
   * open, so that keys are changed without logging anybody out: see docs/sealing.md.
   *
   * @defaultValue nothing is encrypted
   */
  encryptionKeys?: string | readonly string[] | undefined

  /**
   * Compresses what is stored (zlib) where that makes it smaller: `true`, or from so many bytes on. Not where
   * a secret stands in a session beside text that an attacker chooses: see docs/sealing.md.
   *
   * @defaultValue `false`; with `true` a `threshold` of 2048
   */
  compress?: boolean | CompressOptions | undefined

  /**
   * Keeps sessions under a hash of their id (HMAC-SHA-256 with a key derived from `encryptionKeys`, SHA-256
   * without), so that a list of memcached's keys holds no id that works as a cookie.
   *
   * @defaultValue `false`
   */
  hashKeys?: boolean | undefined

  /**
   * Reads what was stored before `encryptionKeys` or `hashKeys` were set, so that setting them logs nobody out.
   * As long as it is set, whoever writes to memcached can plant a plain session.
   *
   * @defaultValue `false`
   */
  allowPlain?: boolean | undefined

  /**
   * A durable store behind memcached: any express-session store, such as connect-pg-simple or connect-redis.
   * memcached decides who wins, this one remembers, so that memcached may lose everything and nobody is
   * logged out. It is not closed with this store.
   *
   * @defaultValue none
   */
  backing?: Store | undefined

  /**
   * Milliseconds after which one call of the backing store has failed, with `ERR_TIMEOUT`.
   *
   * @defaultValue 5000
   */
  backingTimeout?: number | undefined

  /**
   * Turns sessions into text and back. With values that are no JSON (dates, maps), overlapping edits
   * of one such value are not merged: the later write wins. What `stringify` throws fails the save; where
   * `parse` throws there is no session, and the event `corrupt` tells of it.
   *
   * @defaultValue JSON
   */
  serializer?: Serializer | undefined
}

/** When to compress: the option `compress`. */
export interface CompressOptions {
  /**
   * Bytes from which on a session is compressed.
   *
   * @defaultValue 2048
   */
  threshold?: number | undefined
}

/** What the store works with: every option checked and filled in. */
export interface Settings {
  /** Empty where they change, and with a client. */
  readonly servers: readonly ServerAddress[]
  /** Asks for servers that change. Fails where what it is told names none. */
  readonly findServers: (() => Promise<readonly ServerAddress[]>) | undefined
  /** Seconds. */
  readonly refresh: number
  readonly client: MemjsClient | undefined
  readonly tls: ConnectionOptions | undefined
  readonly prefix: string
  readonly ttl: number | TtlFunction
  readonly touchAfter: number | undefined
  readonly onConflict: 'merge' | 'overwrite' | 'reject' | ConflictResolver
  readonly tombstone: number
  readonly onUnavailable: 'error' | 'anonymous'
  readonly timeout: number
  readonly maxItemSize: number
  readonly userOf: UserOf | undefined
  /** Empty: nothing is encrypted. */
  readonly encryptionKeys: readonly string[]
  /** Bytes; undefined: nothing is compressed. */
  readonly compressFrom: number | undefined
  readonly hashKeys: boolean
  readonly allowPlain: boolean
  readonly backing: Store | undefined
  readonly backingTimeout: number
  readonly serializer: Serializer
}

/** The longest wait of a Node timer (Node's documentation, "Timers", `setTimeout`). */
const MAX_TIMER = 0x7fff_ffff

/** Seconds. */
const MAX_REFRESH = Math.floor(MAX_TIMER / 1000)
const SERVERS = 'a string, a list of strings or a function'

/** Characters of an encryption key: 24 random bytes in base64 have as many. */
const MIN_SECRET = 32
const THRESHOLD = 2048

/** What each option must be, in words and as a test. */
const EXPECTED: Record<
  keyof MemcachedStoreOptions,
  readonly [words: string, test: (value: unknown) => boolean]
> = {
  servers: [SERVERS, v => areServers(v) || isFunction(v)],
  refresh: [
    `a number of seconds above 0, at most ${MAX_REFRESH}`,
    v => isNumber(v) && v > 0 && v <= MAX_REFRESH,
  ],
  client: ['a memjs client', v => isObject(v) && isFunction(v.perform)],
  protocol: ["'auto', 'binary' or 'text'", v => v === 'auto' || v === 'binary' || v === 'text'],
  // SASL PLAIN separates them by NUL (RFC 4616, section 2).
  username: ['a non-empty string without NUL', v => isString(v) && v !== '' && !v.includes('\0')],
  password: ['a string without NUL', v => isString(v) && !v.includes('\0')],
  tls: ['a boolean or options of tls.connect', v => typeof v === 'boolean' || isObject(v)],
  prefix: [
    'at most 200 printable ASCII characters without spaces',
    v => isString(v) && /^[\x21-\x7e]{0,200}$/.test(v),
  ],
  ttl: ['a number of seconds above 0 or a function', v => isFunction(v) || (isNumber(v) && v > 0)],
  touchAfter: ['a finite number of seconds, 0 or more', v => isNumber(v) && v >= 0 && v < Infinity],
  onConflict: [
    "'merge', 'overwrite', 'reject' or a function",
    v => isFunction(v) || v === 'merge' || v === 'overwrite' || v === 'reject',
  ],
  tombstone: ['a finite number of seconds, 0 or more', v => isNumber(v) && v >= 0 && v < Infinity],
  onUnavailable: ["'error' or 'anonymous'", v => v === 'error' || v === 'anonymous'],
  timeout: [`a number of milliseconds from 1 to ${MAX_TIMER}`, v => isNumber(v) && v >= 1 && v <= MAX_TIMER],
  maxItemSize: [
    'a whole number of bytes, 1024 or more',
    v => Number.isSafeInteger(v) && (v as number) >= 1024,
  ],
  userOf: ['a function', isFunction],
  encryptionKeys: [
    `different strings of ${MIN_SECRET} characters or more (one is made by \`openssl rand -base64 32\`)`,
    v => areSecrets(isString(v) ? [v] : v),
  ],
  compress: [
    'a boolean or an object with a `threshold` of bytes, 0 or more',
    v => typeof v === 'boolean' || isCompressOptions(v),
  ],
  hashKeys: ['a boolean', v => typeof v === 'boolean'],
  allowPlain: ['a boolean', v => typeof v === 'boolean'],
  backing: ['an express-session store, with get, set and destroy', isStore],
  backingTimeout: [
    `a number of milliseconds from 1 to ${MAX_TIMER}`,
    v => isNumber(v) && v >= 1 && v <= MAX_TIMER,
  ],
  serializer: [
    'an object with the functions stringify and parse',
    v => isObject(v) && isFunction(v.stringify) && isFunction(v.parse),
  ],
}

/** Options whose value no message shows. */
const SECRET = new Set(['servers', 'client', 'backing', 'username', 'password', 'tls', 'encryptionKeys'])

/**
 * Checks and completes the options.
 *
 * @throws TypeError - naming the option, what it should be, and what it was.
 */
export function readOptions(options: MemcachedStoreOptions = {}): Settings {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`Expected \`options\` to be an object, got ${show(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(EXPECTED, name)) {
      throw new TypeError(`Unknown option \`${name}\`. Known are ${Object.keys(EXPECTED).join(', ')}`)
    }
  }
  for (const [name, [words, test]] of Object.entries(EXPECTED)) {
    // An inherited one counts, too.
    const value = options[name as keyof MemcachedStoreOptions]
    if (value !== undefined && !test(value)) {
      const got = SECRET.has(name) ? `(${typeof value})` : show(value)
      throw new TypeError(`Expected \`${name}\` to be ${words}, got ${got}`)
    }
  }
  for (const name of ['servers', 'protocol', 'username', 'password', 'tls'] as const) {
    if (options.client !== undefined && options[name] !== undefined) {
      throw new TypeError(`Expected either \`client\` or \`${name}\`, got both: the client has its own`)
    }
  }
  if ((options.username === undefined) !== (options.password === undefined)) {
    throw new TypeError('Expected `username` and `password` to be given together, got only one')
  }
  return {
    servers:
      options.client !== undefined || isFunction(options.servers)
        ? []
        : readServers(options, options.servers as Servers | undefined),
    findServers: readFunction(options),
    refresh: options.refresh ?? 60,
    client: options.client,
    tls: options.tls === true ? {} : options.tls === false ? undefined : options.tls,
    prefix: options.prefix ?? 'sess:',
    ttl: options.ttl ?? 86_400,
    touchAfter: options.touchAfter,
    onConflict: options.onConflict ?? 'merge',
    tombstone: options.tombstone ?? 300,
    onUnavailable: options.onUnavailable ?? 'error',
    timeout: options.timeout ?? 500,
    maxItemSize: options.maxItemSize ?? 1_048_576,
    userOf: options.userOf,
    encryptionKeys: isString(options.encryptionKeys)
      ? [options.encryptionKeys]
      : (options.encryptionKeys ?? []),
    compressFrom: readCompress(options.compress),
    hashKeys: options.hashKeys ?? false,
    allowPlain: options.allowPlain ?? false,
    backing: options.backing,
    backingTimeout: options.backingTimeout ?? 5000,
    serializer: options.serializer ?? { stringify: stringifyJson, parse: parseJson },
  }
}

/** An address may carry its own credentials and ask for TLS; the options speak for the rest. */
function readServers(options: MemcachedStoreOptions, servers?: Servers): ServerAddress[] {
  const { username, password, protocol = 'auto' } = options
  const tls = options.tls !== undefined && options.tls !== false
  return parseServers(servers ?? defaultServers(process.env)).map(address => ({
    ...address,
    tls: address.tls || tls,
    ...(address.protocol === undefined && protocol !== 'auto' ? { protocol } : {}),
    ...(address.username === undefined && username !== undefined && password !== undefined
      ? { username, password }
      : {}),
  }))
}

function readFunction(options: MemcachedStoreOptions): Settings['findServers'] {
  const { servers } = options
  if (typeof servers !== 'function') return undefined
  return async () => {
    const found: unknown = await servers()
    if (areServers(found)) return readServers(options, found)
    throw new TypeError(
      `Expected the function in \`servers\` to give a string or a list, got (${typeof found})`,
    )
  }
}

function readCompress(compress: boolean | CompressOptions = false): number | undefined {
  if (compress === false) return undefined
  return compress === true ? THRESHOLD : (compress.threshold ?? THRESHOLD)
}

function areServers(value: unknown): value is Servers {
  return isString(value) || (Array.isArray(value) && value.every(isString))
}

/** One at least: an empty list would be plain text in place of what was asked for. */
function areSecrets(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || new Set(value).size < value.length) return false
  return value.every(secret => isString(secret) && secret.length >= MIN_SECRET)
}

function isCompressOptions(value: unknown): boolean {
  if (!isObject(value) || Object.getPrototypeOf(value) !== Object.prototype) return false
  if (Object.keys(value).some(name => name !== 'threshold')) return false
  const { threshold } = value
  return threshold === undefined || (isNumber(threshold) && threshold >= 0)
}

function isStore(value: unknown): boolean {
  return isObject(value) && ['get', 'set', 'destroy'].every(method => isFunction(value[method]))
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(value)
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  return `\`${inspect(value, { depth: 0, breakLength: Infinity, maxStringLength: 80 })}\` (${typeof value})`
}
