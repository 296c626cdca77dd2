import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'
import { inspect } from 'node:util'
import { ClientConnection } from './client-connection.ts'
import { generalStatistics, settings, type Traffic } from './own-statistics.ts'
import type { Backend } from './service.ts'
import { Storage } from './storage.ts'

/** Options of `EmbeddedMemcached.start`. All have defaults; `undefined` is the same as leaving one out. */
export interface EmbeddedMemcachedOptions {
  /**
   * TCP port; 0 lets the system pick a free one.
   *
   * @defaultValue 0
   */
  port?: number | undefined

  /**
   * Address to listen on. There is no password: whoever reaches it can read and change all sessions.
   *
   * @defaultValue `'127.0.0.1'`
   */
  host?: string | undefined

  /**
   * Bytes of items kept, memcached's `-m`; past it the least recently used item goes. An item counts its key,
   * its value and the 59 bytes (63 with flags) that memcached adds; what JavaScript adds comes on top.
   *
   * @defaultValue 67108864 (64 MiB)
   */
  maxMemory?: number | undefined

  /**
   * Bytes of the largest item, memcached's `-I`, counted in the same way. Never more than `maxMemory`.
   *
   * @defaultValue 1048576 (1 MiB)
   */
  maxItemSize?: number | undefined
}

/** memcached's default of `-c`. */
const MAX_CONNECTIONS = 1024

/** The memcached whose behaviour this follows, as far as clients rely on it. */
const VERSION = '1.6.45-embedded'

/**
 * A memcached inside this process: the binary protocol and the text commands `get gets set add replace cas
 * delete touch lru_crawler metadump stats version quit`, on one TCP port.
 *
 * It is for trying things out and for tests, not for production: what it holds is lost with the process
 * and shared with no other, it takes its turns on the event loop of the application, and it knows no
 * passwords and no TLS.
 *
 * @example
 * ```ts
 * const server = await EmbeddedMemcached.start()
 * const store = new MemcachedStore({ servers: server.address })
 * // …
 * await store.close()
 * await server.stop()
 * ```
 */
export class EmbeddedMemcached {
  /** The port it listens on. */
  readonly port: number
  /** `host:port`, as the option `servers` of a client takes it. */
  readonly address: string
  readonly #server: Server
  readonly #sockets: Set<Socket>
  #stopped: Promise<void> | undefined

  private constructor(server: Server, sockets: Set<Socket>, port: number, host: string) {
    this.#server = server
    this.#sockets = sockets
    this.port = port
    this.address = `${isIPv6(host) ? `[${host}]` : host}:${port}`
  }

  /**
   * Starts one, empty.
   *
   * @throws TypeError for an option that is unknown or out of range
   * @throws the error of `net.Server.listen`, such as one with the code `EADDRINUSE`
   */
  static async start(options: EmbeddedMemcachedOptions = {}): Promise<EmbeddedMemcached> {
    const { port: wanted, host, maxMemory, maxItemSize } = validate(options)
    const server = createServer()
    server.maxConnections = MAX_CONNECTIONS
    server.listen(wanted, host)
    await once(server, 'listening')

    const { port } = server.address() as AddressInfo
    const storage = new Storage(maxMemory, maxItemSize, unixSeconds)
    const startedAt = unixSeconds()
    const traffic: Traffic = {
      port,
      host,
      startedAt,
      maxConnections: MAX_CONNECTIONS,
      open: 0,
      total: 0,
      bytesRead: 0,
      bytesWritten: 0,
    }
    const backend: Backend = {
      storage,
      version: VERSION,
      dumping: false,
      stats: group => {
        if (group === '') return generalStatistics(storage, traffic, VERSION)
        return group === 'settings' ? settings(storage, traffic) : undefined
      },
    }
    const sockets = new Set<Socket>()
    server.on('connection', socket => {
      sockets.add(socket)
      traffic.open = sockets.size
      traffic.total += 1
      socket.on('close', () => {
        sockets.delete(socket)
        traffic.open = sockets.size
      })
      new ClientConnection(socket, backend, traffic)
    })
    return new EmbeddedMemcached(server, sockets, port, host)
  }

  /** Closes the port and every connection, and forgets all items. Settles when the port is free again. */
  stop(): Promise<void> {
    this.#stopped ??= new Promise(resolve => {
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
    })
    return this.#stopped
  }

  /** The same as {@link stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

const unixSeconds = (): number => Math.floor(Date.now() / 1000)

function validate(options: EmbeddedMemcachedOptions): {
  [K in keyof Required<EmbeddedMemcachedOptions>]: NonNullable<EmbeddedMemcachedOptions[K]>
} {
  const {
    port = 0,
    host = '127.0.0.1',
    maxMemory = 64 * 1024 * 1024,
    maxItemSize = 1024 * 1024,
    ...unknown
  } = options
  const stranger = Object.keys(unknown)[0]
  if (stranger !== undefined) throw new TypeError(`Unknown option \`${stranger}\` of EmbeddedMemcached.start`)
  expectInteger('port', port, 0, 65_535)
  expectInteger('maxMemory', maxMemory, 1024, Number.MAX_SAFE_INTEGER)
  expectInteger('maxItemSize', maxItemSize, 1024, 1024 * 1024 * 1024)
  if (typeof host !== 'string' || host === '')
    throw new TypeError(expected('host', 'a host name or address', host))
  return { port, host, maxMemory, maxItemSize }
}

function expectInteger(name: string, value: unknown, least: number, most: number): void {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return
  throw new TypeError(expected(name, `a whole number from ${least} to ${most}`, value))
}

const expected = (name: string, expectation: string, value: unknown): string =>
  `Expected \`${name}\` to be ${expectation}, got \`${inspect(value)}\` (${typeof value})`
