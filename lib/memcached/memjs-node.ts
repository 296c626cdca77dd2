import { Client, type Server } from 'memjs'
import { Inspector } from './inspector.ts'
import type { Item, MemcachedNode, ReplyCallback, Version, WriteMode } from './node.ts'
import { ADD, DELETE, GET, REPLACE, SET, TOUCH } from './protocol.ts'
import type { CasVersion } from './reply.ts'
import { Request } from './request.ts'
import type { Statistics } from './statistics.ts'
import type { WalkOptions } from './walk.ts'
import type { Wire } from './wire.ts'

const OPCODES: Record<WriteMode, number> = { set: SET, add: ADD, replace: REPLACE }
const LAST_OPAQUE = 0x7fff_ffff

/** memjs passes requests on to its server as they are: ours are objects, encoded once, by the wire. */
interface WireClient {
  perform(key: string, request: Request, opaque: number, done: ReplyCallback): void
}

/** One server through memjs: its client, writing to a wire of ours. */
export class MemjsNode implements MemcachedNode {
  readonly address: string
  readonly #wire: Wire
  readonly #inspector: Inspector
  readonly #client: WireClient
  #opaque: number

  /** @param opaque - the number of the last request, so that a test can begin near the end. */
  constructor(address: string, wire: Wire, opaque = 0) {
    this.address = address
    this.#wire = wire
    this.#inspector = new Inspector(wire.target)
    // No retries of memjs's own, which would repeat writes, and no logging to the console.
    const options = { retries: 1, logger: { log() {} } }
    this.#client = new Client([wire as unknown as Server], options) as unknown as WireClient
    this.#opaque = opaque
  }

  get(key: string, done: ReplyCallback): void {
    this.#perform(new Request(GET, this.#next(), key), done)
  }

  write(mode: WriteMode, item: Item, version: Version | null, done: ReplyCallback): void {
    this.#perform(
      new Request(OPCODES[mode], this.#next(), item.key, item, version as CasVersion | null),
      done,
    )
  }

  delete(key: string, version: Version | null, done: ReplyCallback): void {
    this.#perform(new Request(DELETE, this.#next(), key, null, version as CasVersion | null), done)
  }

  touch(key: string, expiration: number, done: ReplyCallback): void {
    this.#perform(new Request(TOUCH, this.#next(), key, { key, value: '', flags: 0, expiration }), done)
  }

  walk(options: WalkOptions): Promise<void> {
    return this.#inspector.walk(options)
  }

  statistics(): Promise<Statistics> {
    return this.#inspector.statistics()
  }

  close(): Promise<void> {
    this.#inspector.close()
    return this.#wire.close()
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
