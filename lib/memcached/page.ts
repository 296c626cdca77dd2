/** A longer value leaves as a buffer of its own: to make room for it and to copy it would cost more. */
const LARGE = 16 * 1024

/** What requests are written to. */
export class Page {
  readonly bytes: Buffer
  /** Of the same bytes: it writes numbers in one step, a Buffer byte by byte. */
  readonly view: DataView
  readonly size: number

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size)
    this.size = size
  }
}

/** Is this value not copied to the page, but sent after it? */
export function leavesApart(value: string | Buffer): boolean {
  return value.length > LARGE
}
