import { MemcachedStoreError } from '../errors.ts'
import type { ReplyCallback } from '../memcached/node.ts'
import type { Reply } from '../memcached/reply.ts'
import { addName, NAMED, splitName } from '../session/codec.ts'
import type { Context } from './context.ts'

/**
 * What memcached adds to key and value: a header of 48 bytes, 8 for the CAS token, 4 for flags, and
 * three of line ends (memcached 1.6, items.c, `item_make_header`).
 */
const ITEM_OVERHEAD = 63

/** A session ready to be written. */
export interface Item {
  readonly key: string
  readonly value: string
  readonly flags: number
}

/** @throws MemcachedStoreError - `ERR_TOO_LARGE`, before memcached deletes the old item over it. */
export function toItem(context: Context, sid: string, key: string, text: string): Item {
  const hashed = context.keys.isHashed(key)
  const value = hashed ? addName(sid, text) : text
  const limit = context.settings.maxItemSize - ITEM_OVERHEAD - key.length
  // A character takes at most three bytes in UTF-8, so most sessions need no counting.
  if (value.length * 3 > limit) {
    const bytes = Buffer.byteLength(value)
    if (bytes > limit) {
      throw new MemcachedStoreError(
        'ERR_TOO_LARGE',
        `Session of ${bytes} bytes is over the ${limit} that fit an item of \`maxItemSize\` ` +
          `${context.settings.maxItemSize}. Store less in it, or raise memcached's -I and the option`,
      )
    }
  }
  return { key, value, flags: hashed ? NAMED : 0 }
}

/** The session's text in an item; null where the item is none of ours. */
export function textIn(reply: Reply): string | null {
  const { text } = reply
  return (reply.flags & NAMED) === 0 ? text : (splitName(text)?.text ?? null)
}

/** A reply as a promise, for the paths that are not hot. */
export function replied(send: (done: ReplyCallback) => void): Promise<Reply> {
  return new Promise((resolve, reject) => {
    send((error, reply) => {
      if (error !== null) reject(error)
      else resolve((reply as Reply).keep())
    })
  })
}
