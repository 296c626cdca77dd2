import { type ProtocolName, parseServers, type ServerAddress } from '../../lib/memcached/address.ts'
import { MemjsNode } from '../../lib/memcached/memjs-node.ts'
import type { ReplyCallback } from '../../lib/memcached/node.ts'
import type { Reply } from '../../lib/memcached/reply.ts'
import { Server, type ServerOptions } from '../../lib/memcached/server.ts'

interface NodeOptions extends Partial<ServerOptions> {
  readonly protocol?: ProtocolName | undefined
}

/** A node as the store makes them. @param timeout - milliseconds. */
export function nodeOf(
  servers: string,
  timeout: number,
  { protocol, ...options }: NodeOptions = {},
): MemjsNode {
  const [address] = parseServers(servers) as [ServerAddress]
  const server = new Server({
    address: protocol === undefined ? address : { ...address, protocol },
    tls: undefined,
    timeout,
    maxItemSize: 1024 ** 2,
    onChange() {},
    ...options,
  })
  return new MemjsNode(address.name, server)
}

/** A request as a promise. A reply's value is valid only until the callback returns. */
export function asked(send: (done: ReplyCallback) => void): Promise<Reply> {
  return new Promise((resolve, reject) => {
    send((error, reply) => {
      if (error !== null) reject(error)
      else resolve((reply as Reply).keep())
    })
  })
}
