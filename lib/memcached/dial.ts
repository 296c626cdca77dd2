import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { ServerAddress } from './address.ts'
import { HEADER_LENGTH, REQUEST_MAGIC, SASL_AUTH } from './protocol.ts'

/** Milliseconds of silence after which TCP asks whether the other side is still there. */
const KEEP_ALIVE = 30_000
const PLAIN = 'PLAIN'

/** Opens a socket to a server; `ready` is called once it may carry requests. */
export function dial(address: ServerAddress, tls: ConnectionOptions | undefined, ready: () => void): Socket {
  const where = 'path' in address ? { path: address.path } : { host: address.host, port: address.port }
  const socket = address.tls
    ? connectTls({ ...(isName(address) ? { servername: address.host } : {}), ...tls, ...where }, ready)
    : connectPlain(where, ready)
  if (!('path' in address)) socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE)
  return socket
}

/** SNI takes names only (RFC 6066, section 3). */
function isName(address: ServerAddress): address is ServerAddress & { host: string } {
  return 'host' in address && address.host !== undefined && isIP(address.host) === 0
}

/** The request that opens a session with user and password (RFC 4616; memcached's wiki, "SASLAuthProtocol"). */
export function saslRequest(username: string, password: string): Buffer {
  const body = Buffer.from(`${PLAIN}\0${username}\0${password}`)
  const header = Buffer.alloc(HEADER_LENGTH)
  header[0] = REQUEST_MAGIC
  header[1] = SASL_AUTH
  header.writeUInt16BE(PLAIN.length, 2)
  header.writeUInt32BE(body.length, 8)
  return Buffer.concat([header, body])
}
