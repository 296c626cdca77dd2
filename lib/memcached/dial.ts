import { connect as connectPlain, isIP, type OnReadOpts, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { ServerAddress } from './address.ts'

/** Milliseconds of silence after which TCP asks whether the other side is still there. */
const KEEP_ALIVE = 30_000

/**
 * Opens a socket to a server.
 *
 * @param ready - called once it may carry requests.
 * @param onread - what it reads into; without it there are `data` events.
 */
export function dial(
  address: ServerAddress,
  tls: ConnectionOptions | undefined,
  ready: () => void,
  onread?: OnReadOpts,
): Socket {
  const place = 'path' in address ? { path: address.path } : { host: address.host, port: address.port }
  const where = onread === undefined ? place : { ...place, onread }
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
