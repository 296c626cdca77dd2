import type { Statistic } from './own-statistics.ts'
import type { Storage } from './storage.ts'

/** What the commands of both protocols act on. */
export interface Backend {
  readonly storage: Storage
  readonly version: string
  /** `group` is `''` or `'settings'`; undefined where there is no such group. */
  stats(group: string): readonly Statistic[] | undefined
  /** Is a connection being sent a metadump? memcached serves one at a time. */
  dumping: boolean
}

/** What a connection does with one request. */
export interface Answer {
  /** Bytes of input that the request covers. What of them has not arrived yet is skipped unread. */
  readonly take: number
  /** Pulled only as fast as the client reads. Strings are Latin-1. */
  readonly reply: Iterable<Buffer | string>
  /** Ends the connection after the reply. */
  readonly close?: boolean
}

/** What a connection is spoken to in: one object for each. The other end of `memcached/protocol.ts`. */
export interface Service {
  /** Answers the request at the head of the input; undefined: it has not arrived whole. Never sees an empty one. */
  answer(input: Buffer): Answer | undefined
}

/** Bytes of a key. */
export const MAX_KEY = 250

/** No memcached can be set to take more (`-I`); who announces more is not to be listened to any longer. */
export const MAX_BODY: number = 1024 * 1024 * 1024
