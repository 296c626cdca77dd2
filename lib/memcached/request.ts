import { AsyncResource } from 'node:async_hooks'
import type { MemcachedStoreError } from '../errors.ts'
import type { Item, WriteMode } from './item.ts'
import type { Reply } from './reply.ts'
import type { CasVersion } from './version.ts'

/** What is asked of a server, numbered as in the binary protocol. */
export const GET = 0x00
export const SET = 0x01
export const ADD = 0x02
export const REPLACE = 0x03
export const DELETE = 0x04

export const OPERATIONS: Record<WriteMode, number> = { set: SET, add: ADD, replace: REPLACE }

/**
 * One request to a server, and its place in the queue of those that wait for a reply. Many share a
 * connection; each is answered in the async context that asked (`AsyncLocalStorage`), so that no
 * visitor's request goes on in the context of another's.
 */
export class Request extends AsyncResource {
  readonly operation: number
  /** Stands for it in protocols whose replies carry a number. */
  readonly opaque: number
  readonly key: string
  /** What is to be stored; null for what stores nothing. A large text in it becomes bytes on its way. */
  item: Item | null
  /** On the condition of this; null for none. */
  readonly version: CasVersion | null

  /** What is called with the answer: one of the two, once, through {@link respond} or {@link fail}. */
  onReply: (reply: Reply) => void = ignore
  onFailure: (error: MemcachedStoreError) => void = ignore
  /** The time, in milliseconds of the server's clock, at which it has failed. */
  deadline = 0
  /** Has it been sent again after a broken connection? Once is enough. */
  repeated = false
  next: Request | null = null
  /** Reads with one number are asked for together; 0 is none. */
  group = 0

  constructor(
    operation: number,
    opaque: number,
    key: string,
    item: Item | null = null,
    version: CasVersion | null = null,
  ) {
    super('MEMCACHED')
    this.operation = operation
    this.opaque = opaque
    this.key = key
    this.item = item
    this.version = version
  }

  /** What is stored: bytes, or characters. */
  get length(): number {
    return this.item === null ? 0 : this.item.value.length
  }

  /** May it be carried out twice without anybody noticing? A write may not: see `operations/changes/queue.ts`. */
  get isRepeatable(): boolean {
    return this.operation === GET
  }

  respond(reply: Reply): void {
    this.runInAsyncScope(this.onReply, null, reply)
  }

  fail(error: MemcachedStoreError): void {
    this.runInAsyncScope(this.onFailure, null, error)
  }
}

function ignore(): void {}
