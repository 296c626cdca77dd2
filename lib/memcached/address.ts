import { isIPv6 } from 'node:net'

/** The protocols of memcached that the store speaks. */
export type ProtocolName = 'binary' | 'text'

/** Where a memcached listens, and how to speak to it: over TCP or through a unix socket. */
export type ServerAddress = TcpAddress | SocketAddress

interface TcpAddress extends Access {
  /** Name or address; IPv6 without brackets, as `net.connect` takes it. */
  readonly host: string
  readonly port: number
  readonly path?: never
}

interface SocketAddress extends Access {
  readonly path: string
  readonly host?: never
  readonly port?: never
}

interface Access {
  /** What people and the ring see: `host:port`, `[v6]:port` or the path. Never user or password. */
  readonly name: string
  readonly tls: boolean
  /** What to speak; undefined finds out. */
  readonly protocol?: ProtocolName
  /** SASL PLAIN; there only together with `password`. */
  readonly username?: string
  readonly password?: string
}

/** memcached's own (memcached.1, option `-p`). */
const DEFAULT_PORT = 11211

/** The servers where the option gives none. memjs reads the last two variables, too (its `memjs.js`). */
export function defaultServers(env: NodeJS.ProcessEnv): string {
  const given = [env.MEMCACHED_SERVERS, env.MEMCACHIER_SERVERS, env.MEMCACHE_SERVERS]
  return given.find(value => value !== undefined && value.trim() !== '') ?? 'localhost:11211'
}

/**
 * Reads the option `servers`: one address, several with commas (one more at the end does no harm), or
 * a list of such strings.
 *
 * - `host`, `host:port`, `[::1]`, `[::1]:port`; the port is 11211 unless given
 * - `/path/to.sock`, `unix:/path/to.sock`
 * - `memcached://…`, `memcacheds://…` (TLS) before any of these, and with `+text` before the colon for the
 *   text protocol
 * - `user:password@` before the host. The last `@` ends the password, the first `:` begins it; both
 *   parts are percent-decoded, and a comma, a space or a `%` must be encoded.
 *
 * @throws TypeError for anything else and for a server named twice. The message hides whatever might
 *   belong to a user or a password.
 */
export function parseServers(servers: string | readonly string[]): ServerAddress[] {
  const addresses = (typeof servers === 'string' ? [servers] : servers).flatMap(parseList)
  if (addresses.length === 0) throw unexpected('at least one address', 'an empty list')
  const names = new Set<string>()
  for (const { name } of addresses) {
    if (names.has(name)) throw unexpected('addresses of different servers', `${hide(name)} twice`)
    names.add(name)
  }
  return addresses
}

function parseList(list: string): ServerAddress[] {
  const entries = list.split(',')
  if (entries.length > 1 && entries.at(-1)?.trim() === '') entries.pop()
  return entries.map((entry, index) => {
    // A comma may stand in a password by mistake: then all that precedes the `@` is secret.
    const secret = entries.slice(index + 1).some(later => later.includes('@'))
    const position = entries.length === 1 ? '' : ` (entry ${index + 1} of ${entries.length})`
    return parseAddress(entry.trim(), expected => {
      throw unexpected(expected, (secret ? '`***`' : hide(entry.trim())) + position)
    })
  })
}

type Fail = (expected: string) => never

function parseAddress(address: string, fail: Fail): ServerAddress {
  if (address === '') fail('addresses, none of them empty')
  if (/\s/.test(address)) fail('addresses without spaces, separated by commas')
  const plain = address.replace(/^unix:(\/\/)?(?=\/[^/])/, '')
  const scheme = /^([a-z][a-z\d+.-]*):\/\//i.exec(plain)?.[1]
  const [, secure, text] =
    /^memcached(s)?(\+text)?$/i.exec(scheme ?? 'memcached') ?? fail('memcached://… or memcacheds://…')
  const access = { tls: secure !== undefined, ...(text === undefined ? {} : { protocol: 'text' as const }) }
  const rest = scheme === undefined ? plain : plain.slice(scheme.length + '://'.length)

  if (rest.startsWith('/')) {
    if (rest.endsWith('/')) fail('addresses with a host or the path of a socket')
    return { name: rest, path: rest, ...access }
  }
  const at = rest.lastIndexOf('@')
  const server = rest.slice(at + 1)
  return {
    ...parseHost(scheme === undefined ? server : server.replace(/\/$/, ''), fail),
    ...access,
    ...(at === -1 ? {} : parseCredentials(rest.slice(0, at), fail)),
  }
}

function parseHost(text: string, fail: Fail): Pick<TcpAddress, 'name' | 'host' | 'port'> {
  if (isIPv6(text)) fail('addresses with IPv6 in brackets, such as [::1]:11211')
  const [, v6, name = '', digits] = /^(?:\[(.*)\]|([^:]*))(?::(.*))?$/.exec(text) ?? []
  const host = v6 ?? name
  if (host === '') fail('addresses with a host')
  if (v6 === undefined ? /[[\]/\\?#%]/.test(host) : !isIPv6(host)) fail('addresses with a valid host')
  const port = digits === undefined ? DEFAULT_PORT : /^\d{1,5}$/.test(digits) ? Number(digits) : 0
  if (port < 1 || port > 65535) fail('addresses with a port from 1 to 65535')
  return { name: v6 === undefined ? `${host}:${port}` : `[${host}]:${port}`, host, port }
}

function parseCredentials(text: string, fail: Fail): { username: string; password: string } {
  const colon = text.indexOf(':')
  if (colon < 1) fail('addresses with user:password before the @')
  // SASL PLAIN separates the two by NUL (RFC 4616, section 2).
  if (/\0|%00/.test(text)) fail('addresses with user and password without NUL')
  try {
    return {
      username: decodeURIComponent(text.slice(0, colon)),
      password: decodeURIComponent(text.slice(colon + 1)),
    }
  } catch {
    return fail('addresses with user and password percent-encoded')
  }
}

/** What is in the place of a port and too long for one: a password, whose host was forgotten. */
const NO_PORT = /^((?:[a-z+]+:\/\/)?[^:/[]+:)(?!\d+\/?$)[^/]{6,}$/i

/** An address as a message may show it. */
function hide(address: string): string {
  return `\`${address.replace(/^.*@/s, '***@').replace(NO_PORT, '$1***')}\``
}

function unexpected(expected: string, got: string): TypeError {
  return new TypeError(`Expected \`servers\` to be ${expected}, got ${got}`)
}
