import { parseServers, type ServerAddress } from '../../lib/memcached/address.ts'
import { MemjsNode } from '../../lib/memcached/memjs-node.ts'
import type { ReplyCallback } from '../../lib/memcached/node.ts'
import type { Reply } from '../../lib/memcached/reply.ts'
import { Wire, type WireOptions } from '../../lib/memcached/wire.ts'

/** A node as the store makes them. @param timeout - milliseconds. */
export function nodeOf(server: string, timeout: number, options: Partial<WireOptions> = {}): MemjsNode {
  const [address] = parseServers(server) as [ServerAddress]
  const wire = new Wire({
    address,
    tls: undefined,
    timeout,
    maxItemSize: 1024 ** 2,
    onChange() {},
    ...options,
  })
  return new MemjsNode(address.name, wire)
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
