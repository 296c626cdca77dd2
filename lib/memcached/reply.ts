import type { CasVersion } from './version.ts'

/** The statuses that are answers rather than failures, numbered as in the binary protocol. */
export const OK = 0x00
export const NOT_FOUND = 0x01
export const EXISTS = 0x02

const NOTHING: Buffer = Buffer.alloc(0)

/** A server's answer. Its value lies in the connection's buffer and is valid only until the callback returns. */
export class Reply {
  /** {@link OK}, {@link NOT_FOUND} or {@link EXISTS}; anything else arrives as an error. */
  readonly status: number
  /** Of the item read or written; null where there is none, or the server told none. */
  readonly version: CasVersion | null
  /** False where no such reply tells a version: then none does not mean that the server counts none (`-C`). */
  tellsVersion = true
  /** Of the item read. */
  flags = 0
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number

  /** @param bytes - has the value of the item read, between `start` and `end`. */
  constructor(
    status: number,
    version: CasVersion | null = null,
    bytes: Buffer = NOTHING,
    start = 0,
    end: number = bytes.length,
  ) {
    this.status = status
    this.version = version
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** The item read, as text. */
  get text(): string {
    return this.#bytes.utf8Slice(this.#start, this.#end)
  }

  /** The same as bytes: no copy, so they hold only until the callback returns. */
  get bytes(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end)
  }

  /** The same with a value of its own, which stays valid. */
  keep(): Reply {
    const value = Buffer.from(this.#bytes.subarray(this.#start, this.#end))
    const kept = new Reply(this.status, this.version, value)
    kept.tellsVersion = this.tellsVersion
    kept.flags = this.flags
    return kept
  }
}
