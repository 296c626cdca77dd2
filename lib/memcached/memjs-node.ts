import { Client, type Server as MemjsServer } from 'memjs'
import { Inspector } from './inspector.ts'
import type { Item, MemcachedNode, ReplyCallback, Version, WriteMode } from './node.ts'
import { DELETE, GET, OPERATIONS, Request } from './request.ts'
import type { Server } from './server.ts'
import type { Statistics } from './statistics.ts'
import type { CasVersion } from './version.ts'
import type { WalkOptions } from './walk.ts'

const LAST_OPAQUE = 0x7fff_ffff

/** memjs passes requests on to its server as they are: ours are objects, which the connection encodes. */
interface WireClient {
  perform(key: string, request: Request, opaque: number, done: ReplyCallback): void
}

/** One server through memjs: its client, writing to a server of ours. */
export class MemjsNode implements MemcachedNode {
  readonly address: string
  readonly #server: Server
  readonly #inspector: Inspector
  readonly #client: WireClient
  #opaque: number

  /** @param opaque - the number of the last request, so that a test can begin near the end. */
  constructor(address: string, server: Server, opaque = 0) {
    this.address = address
    this.#server = server
    this.#inspector = new Inspector(server.target)
    // No retries of memjs's own, which would repeat writes, and no logging to the console.
    const options = { retries: 1, logger: { log() {} } }
    this.#client = new Client([server as unknown as MemjsServer], options) as unknown as WireClient
    this.#opaque = opaque
  }

  get(key: string, done: ReplyCallback): void {
    this.#perform(new Request(GET, this.#next(), key), done)
  }

  write(mode: WriteMode, item: Item, version: Version | null, done: ReplyCallback): void {
    this.#perform(
      new Request(OPERATIONS[mode], this.#next(), item.key, item, version as CasVersion | null),
      done,
    )
  }

  delete(key: string, version: Version | null, done: ReplyCallback): void {
    this.#perform(new Request(DELETE, this.#next(), key, null, version as CasVersion | null), done)
  }

  walk(options: WalkOptions): Promise<void> {
    return this.#inspector.walk(options)
  }

  statistics(): Promise<Statistics> {
    return this.#inspector.statistics()
  }

  close(): Promise<void> {
    this.#inspector.close()
    return this.#server.close()
  }

  #perform(request: Request, done: ReplyCallback): void {
    this.#client.perform(request.key, request, request.opaque, done)
  }

  /** Stays within 31 bits: memjs encodes numbers as unsigned and counts as signed. */
  #next(): number {
    this.#opaque = this.#opaque === LAST_OPAQUE ? 1 : this.#opaque + 1
    return this.#opaque
  }
}
