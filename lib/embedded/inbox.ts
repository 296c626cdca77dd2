const NOTHING: Buffer = Buffer.alloc(0)

/** Bytes that arrived and are not used yet. Growing by doubling keeps a slow writer of small pieces cheap. */
export class Inbox {
  #buffer: Buffer = NOTHING
  #start = 0
  #end = 0
  /** Bytes to drop as they arrive. */
  #skip = 0

  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end)
  }

  push(chunk: Buffer): void {
    const skipped = Math.min(this.#skip, chunk.length)
    this.#skip -= skipped
    const rest = chunk.subarray(skipped)
    const held = this.#end - this.#start
    if (held === 0) {
      this.#buffer = rest
      this.#start = 0
      this.#end = rest.length
      return
    }
    if (this.#end + rest.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (held + rest.length))
      larger.set(this.bytes)
      this.#buffer = larger
      this.#start = 0
      this.#end = held
    }
    this.#buffer.set(rest, this.#end)
    this.#end += rest.length
  }

  /** Takes bytes off the head; what has not arrived yet of them is dropped when it does. */
  take(length: number): void {
    const taken = Math.min(length, this.#end - this.#start)
    this.#skip = length - taken
    this.#start += taken
    if (this.#start < this.#end) return
    this.#buffer = NOTHING
    this.#start = this.#end = 0
  }
}
