import { connect, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { addressOf, type Endpoint, parseEndpoint } from './endpoint.ts'

/** Options of `elastiCache`. All have defaults; `undefined` is the same as leaving one out. */
export interface ElastiCacheOptions {
  /**
   * TLS for the configuration endpoint: `true`, or options of Node's `tls.connect`. For the servers themselves the
   * store's option `tls` speaks.
   *
   * @defaultValue `false`
   */
  tls?: boolean | ConnectionOptions | undefined

  /**
   * Milliseconds in which the whole answer must have come.
   *
   * @defaultValue 5000
   */
  timeout?: number | undefined
}

/** Which servers there are, and which version of that it is. */
interface Configuration {
  readonly version: number
  readonly servers: readonly string[]
}

/** No cluster has as many servers as fit into so many bytes. */
const MAX_BYTES = 1024 * 1024
/** An older list is believed when it was given so often in a row: the cluster was made anew. */
const PATIENCE = 3

/**
 * For the option `servers`: the servers of an Amazon ElastiCache cluster, as its configuration endpoint tells them
 * (`config get cluster`). Memorystore for Memcached of Google Cloud answers the same at its discovery endpoint.
 *
 * Any server of the cluster may answer, and in the middle of a change some know the new list and some do not: an
 * older list than one that was given before is not believed, unless it is given three times in a row.
 *
 * The function fails where the endpoint does not answer in time, where its answer is cut, or nonsense, or names no server.
 *
 * @param endpoint - `name:port`; the port is 11211 unless given.
 * @throws TypeError - for an endpoint that is none.
 */
export function elastiCache(endpoint: string, options: ElastiCacheOptions = {}): () => Promise<string[]> {
  const { tls = false, timeout = 5000 } = options
  const target = parseEndpoint(endpoint)
  let known: Configuration | null = null
  let older = 0
  return async () => {
    const told = read(await ask(target, tls, timeout))
    const isOlder = known !== null && told.version < known.version
    older = isOlder ? older + 1 : 0
    if (known === null || !isOlder || older >= PATIENCE) {
      known = told
      older = 0
    }
    return [...known.servers]
  }
}

/** The text of the configuration. */
function ask({ host, port }: Endpoint, tls: boolean | ConnectionOptions, timeout: number): Promise<string> {
  const name = addressOf(host, port)
  return new Promise((resolve, reject) => {
    let answer = ''
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      socket.destroy()
      settle()
    }
    const fail = (what: string, cause?: Error): void =>
      end(() => reject(new Error(`The configuration endpoint ${name} ${what}`, { cause })))
    const socket = dial(host, port, tls)
    socket.setEncoding('latin1')
    socket.write('config get cluster\r\n')
    socket.on('data', (bytes: string) => {
      answer += bytes
      const text = textIn(answer)
      if (text === 'nonsense') fail('does not understand `config get cluster`')
      else if (text !== null) end(() => resolve(text.body))
      else if (answer.length > MAX_BYTES) fail('gives an answer that is too long')
    })
    socket.on('error', cause => fail('cannot be asked', cause))
    socket.on('close', () => fail('closed the connection before its answer was complete'))
    const timer = setTimeout(() => fail(`has not answered within ${timeout} ms`), timeout)
  })
}

function dial(host: string, port: number, tls: boolean | ConnectionOptions): Socket {
  if (tls === false) return connect(port, host)
  return connectTls({ host, port, servername: host, ...(tls === true ? {} : tls) })
}

/** `CONFIG cluster <flags> <bytes>`, that many bytes, `END`. Null while some of it is missing. */
function textIn(answer: string): { body: string } | 'nonsense' | null {
  const end = answer.indexOf('\r\n')
  if (end === -1) return null
  const [, digits] = /^CONFIG cluster \d+ (\d{1,9})$/.exec(answer.slice(0, end)) ?? []
  if (digits === undefined) return 'nonsense'
  const start = end + 2
  const body = answer.slice(start, start + Number(digits))
  const rest = answer.slice(start + Number(digits))
  if (!'\r\nEND\r\n'.startsWith(rest)) return 'nonsense'
  return rest.length === 7 ? { body } : null
}

/** A line with the version, then `host|ip|port`, separated by spaces. */
function read(text: string): Configuration {
  const [first = '', second = ''] = text.split(/\r?\n/)
  if (!/^\d{1,15}$/.test(first)) throw new Error('The configuration of the cluster has no version')
  const servers = second
    .split(' ')
    .filter(entry => entry !== '')
    .map(entry => {
      const [, host = '', ip = '', port] = /^([^|]*)\|([^|]*)\|(\d{1,5})$/.exec(entry) ?? []
      if (port === undefined || host + ip === '') {
        throw new Error('The configuration of the cluster names a server without a name or a port')
      }
      return addressOf(host === '' ? ip : host, Number(port))
    })
  if (servers.length === 0) throw new Error('The configuration of the cluster names no server')
  return { version: Number(first), servers: [...new Set(servers)] }
}
