/** Characters. */
const LONG = 16_384
/** Bytes that a character takes at most. */
const CHARACTER = 4
/** Bytes; pages have a multiple of these. */
const STEP = 4096

/** A session's text; of a long one that is on its way its bytes: see {@link kept}. */
export type Text = string | Buffer

/**
 * What is kept of a text until the answer comes. A long one becomes bytes, which lie outside of the heap: there the
 * collector would copy it twice in the meantime, and look through all that lives more often.
 */
export function kept(text: string): Text {
  return text.length > LONG ? Buffer.from(text) : text
}

/** The same, in bytes that serve again once they are {@link letGo}: fresh ones for all cost a third of a large save. */
export function lent(text: string): Text {
  if (text.length <= LONG) return text
  // Most texts have a byte for each character: counting them first would cost as much as writing them.
  let page = take(text.length + CHARACTER)
  let length = page.utf8Write(text, 0)
  if (length + CHARACTER > page.length) {
    leave(page.buffer)
    page = take(Buffer.byteLength(text))
    length = page.utf8Write(text, 0)
  }
  const bytes = page.subarray(0, length)
  given.add(bytes)
  return bytes
}

export function textOf(text: Text): string {
  return typeof text === 'string' ? text : text.utf8Slice(0, text.length)
}

/**
 * What was {@link lent} is free for another text, at once: for who knows that nobody else has it, or ever will. What
 * nobody lets go is left to the collector.
 */
export function letGo(text: Text): void {
  if (typeof text !== 'string' && given.delete(text)) leave(text.buffer)
}

/** What is lent, and nobody has let go: none is let go twice. */
const given: WeakSet<Buffer> = new WeakSet()
/** Pages that nobody has, by their size. The collector takes them all, where it looks for memory. */
let free: WeakRef<Map<number, ArrayBufferLike[]>> = new WeakRef(new Map())

function freePages(): Map<number, ArrayBufferLike[]> {
  const found = free.deref()
  if (found !== undefined) return found
  const none = new Map<number, ArrayBufferLike[]>()
  free = new WeakRef(none)
  return none
}

function take(bytes: number): Buffer {
  const size = Math.ceil(bytes / STEP) * STEP
  const page = freePages().get(size)?.pop()
  return page === undefined ? Buffer.allocUnsafeSlow(size) : Buffer.from(page)
}

function leave(page: ArrayBufferLike): void {
  const pages = freePages()
  const ofSize = pages.get(page.byteLength)
  if (ofSize === undefined) pages.set(page.byteLength, [page])
  else ofSize.push(page)
}
