import type { ReplyCallback } from '../memcached/node.ts'
import type { Reply } from '../memcached/reply.ts'

/** A reply as a promise, for the paths that are not hot. */
export function replied(send: (done: ReplyCallback) => void): Promise<Reply> {
  return new Promise((resolve, reject) => {
    send((error, reply) => {
      if (error !== null) reject(error)
      else resolve((reply as Reply).keep())
    })
  })
}
