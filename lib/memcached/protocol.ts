import type { MemcachedStoreError } from '../errors.ts'
import type { Page } from './page.ts'
import type { Request } from './request.ts'
import type { RequestQueue } from './request-queue.ts'

/** A connection, as its protocol sees it. It is the `life` of the versions that come over it. */
export interface Line {
  /** The server's name, for messages. */
  readonly server: string
  /** Requests without a reply, in the order in which they were sent. */
  readonly requests: RequestQueue
  /** Bytes; a longer reply is taken for garbage. */
  readonly maxBody: number
  /** What has been found out about the server. */
  readonly findings: Findings
  /** Milliseconds that are left of a request's time. */
  left(request: Request): number
  /** Asks for this once more. */
  send(request: Request): void
}

/** Kept for as long as the server is used. */
export interface Findings {
  /** Is it a proxy? One of the servers behind it may be away by itself. */
  isProxy: boolean
}

/** What a connection speaks once it has been greeted: one object for each, with the state of its stream. */
export interface Protocol {
  /** What follows a value that {@link leavesApart}. */
  readonly valueEnd: Buffer | null

  /**
   * Writes a request, but for a value that {@link leavesApart}; gives where it ends. There is room for it.
   *
   * @param isFirst - has all that is before it on the page left already?
   */
  encode(request: Request, page: Page, at: number, isFirst: boolean): number

  /** Reads what has come, and answers requests with it. Gives the reply that is not whole yet, or what ends the connection. */
  parse(bytes: Buffer): Rest | MemcachedStoreError | null
}

/** A reply that has come in part. */
export interface Rest {
  /** Where it begins. */
  readonly at: number
  /** Bytes of the whole; null where that cannot be told yet. */
  readonly length: number | null
}

/**
 * How a connection begins: it shows that the server is there, speaks the protocol, and knows us. Nothing else
 * is sent before that.
 */
export interface Greeting {
  /** What is sent first. */
  readonly opening: Buffer

  /** Takes what came: the greeting is over, needs more bytes, goes on with these, or failed. */
  take(bytes: Buffer): 'done' | 'more' | Buffer | MemcachedStoreError
}
