import type { Version } from './node.ts'

/** The statuses that are answers rather than failures (memcached's wiki, "BinaryProtocolRevamped", "Response Status"). */
export const OK = 0x00
export const NOT_FOUND = 0x01
export const EXISTS = 0x02

/** A CAS token, in two halves: 64 bits do not fit a number. */
export class CasVersion implements Version {
  readonly life: object
  readonly high: number
  readonly low: number

  constructor(life: object, high: number, low: number) {
    this.life = life
    this.high = high
    this.low = low
  }
}

const NOTHING: Buffer = Buffer.alloc(0)
const NO_LIFE: object = {}

/** A server's answer. Its value lies in the connection's buffer and is valid only until the callback returns. */
export class Reply {
  readonly opcode: number
  /** The number of the request it answers. */
  readonly opaque: number
  /** {@link OK}, {@link NOT_FOUND} or {@link EXISTS}; anything else arrives as an error. */
  readonly status: number
  /** Of the item read or touched; 0 for other operations. */
  readonly flags: number
  readonly #life: object
  readonly #casHigh: number
  readonly #casLow: number
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number

  constructor(
    opcode: number,
    opaque: number,
    status: number,
    flags: number,
    life: object,
    casHigh: number,
    casLow: number,
    bytes: Buffer,
    start: number,
    end: number,
  ) {
    this.opcode = opcode
    this.opaque = opaque
    this.status = status
    this.flags = flags
    this.#life = life
    this.#casHigh = casHigh
    this.#casLow = casLow
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** Our own answer to a request whose version is of another life: what it was given for may be gone. */
  static exists({ opcode, opaque }: { opcode: number; opaque: number }): Reply {
    return new Reply(opcode, opaque, EXISTS, 0, NO_LIFE, 0, 0, NOTHING, 0, 0)
  }

  /** Of the item read or written; null where the server counts no versions (`-C`), or told none. */
  get version(): CasVersion | null {
    if (this.#casHigh === 0 && this.#casLow === 0) return null
    return new CasVersion(this.#life, this.#casHigh, this.#casLow)
  }

  /** The item read, as text. */
  get text(): string {
    return this.#bytes.utf8Slice(this.#start, this.#end)
  }

  /** The same with a value of its own, which stays valid. */
  keep(): Reply {
    const { opcode, opaque, status, flags } = this
    const value = Buffer.from(this.#bytes.subarray(this.#start, this.#end))
    const [life, high, low] = [this.#life, this.#casHigh, this.#casLow]
    return new Reply(opcode, opaque, status, flags, life, high, low, value, 0, value.length)
  }
}
