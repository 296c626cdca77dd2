import type { MemcachedStoreError } from '../errors.ts'
import type { Reply } from './reply.ts'
import type { Statistics } from './statistics.ts'
import type { WalkOptions } from './walk.ts'

/** Called exactly once, never before the call it belongs to has returned. It must not throw. */
export type ReplyCallback = (error: MemcachedStoreError | null, reply: Reply | null) => void

/** `add` wants no item there (else EXISTS), `replace` wants one (else NOT_FOUND), `set` wants nothing. */
export type WriteMode = 'set' | 'add' | 'replace'

/** What is to lie under a key. */
export interface Item {
  /** Printable ASCII, at most 250 characters. */
  readonly key: string
  readonly value: string | Buffer
  readonly flags: number
  /** memcached's field: relative seconds up to 30 days, else Unix time; 0 is never. */
  readonly expiration: number
}

/**
 * Which state of an item was read or written, for a write on the condition that it is still there. Opaque
 * to all but the transport it came from.
 *
 * It is good for one life of a server's connection: after a restart memcached's CAS tokens begin anew, and
 * an old one may match an item it was never given for. A write conditional on a version of another life is
 * answered EXISTS, and nothing is sent: look again, and compare what is stored.
 */
export interface Version {
  /** The connection it came over; one object for each. */
  readonly life: object
}

/**
 * One memcached server: the small interface a transport implements. Callbacks, not promises: a
 * promise layer costs 0.3 to 0.5 µs on a path of 3 µs.
 */
export interface MemcachedNode {
  /** For people and for the ring: `host:port` or the path of a socket. Never a password. */
  readonly address: string

  get(key: string, done: ReplyCallback): void

  /** @param version - write only over this very item (else EXISTS); null is no condition. */
  write(mode: WriteMode, item: Item, version: Version | null, done: ReplyCallback): void

  /** With a version, deletes only that very item (else EXISTS). */
  delete(key: string, version: Version | null, done: ReplyCallback): void

  /** Sets a new expiration and leaves value and CAS token alone. */
  touch(key: string, expiration: number, done: ReplyCallback): void

  /** Lists the keys with a prefix; `ERR_NOT_SUPPORTED` where the server, or the transport, cannot. */
  walk(options: WalkOptions): Promise<void>

  /** What the server tells of itself; `ERR_NOT_SUPPORTED` where the transport cannot ask. */
  statistics(): Promise<Statistics>

  /** Ends what is in flight and frees every socket and timer. */
  close(): Promise<void>
}
