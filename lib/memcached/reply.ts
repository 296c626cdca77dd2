/** The statuses that are answers rather than failures (memcached's wiki, "BinaryProtocolRevamped", "Response Status"). */
export const OK = 0x00
export const NOT_FOUND = 0x01
export const EXISTS = 0x02

/** A server's answer. Its value lies in the connection's buffer and is valid only until the callback returns. */
export class Reply {
  readonly opcode: number
  /** The number of the request it answers. */
  readonly opaque: number
  /** {@link OK}, {@link NOT_FOUND} or {@link EXISTS}; anything else arrives as an error. */
  readonly status: number
  /** Of the item read or touched; 0 for other operations. */
  readonly flags: number
  /** CAS token of the item read or written, in two halves: 64 bits do not fit a number. */
  readonly casHigh: number
  readonly casLow: number
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number

  constructor(
    opcode: number,
    opaque: number,
    status: number,
    flags: number,
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
    this.casHigh = casHigh
    this.casLow = casLow
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** The item read, as text. */
  get text(): string {
    return this.#bytes.utf8Slice(this.#start, this.#end)
  }

  /** The same with a value of its own, which stays valid. */
  keep(): Reply {
    const { opcode, opaque, status, flags, casHigh, casLow } = this
    const value = Buffer.from(this.#bytes.subarray(this.#start, this.#end))
    return new Reply(opcode, opaque, status, flags, casHigh, casLow, value, 0, value.length)
  }
}
