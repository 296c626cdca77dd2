/**
 * A small bounded memory of what happened to a key last. Counts time that only moves forward: a clock that
 * is set back must not make a moment last for hours.
 */
export class RecentKeys<T = undefined> {
  readonly #max: number
  readonly #notes: Map<string, Note<T>> = new Map()

  constructor(max: number) {
    this.#max = max
  }

  /** Has this key been noted in the last so many milliseconds? */
  within(key: string, span: number): boolean {
    const note = this.#notes.get(key)
    return note !== undefined && performance.now() - note.at < span
  }

  /** What was noted of this key in the last so many milliseconds. */
  find(key: string, span: number): T | undefined {
    return this.within(key, span) ? this.#notes.get(key)?.what : undefined
  }

  /** What was noted in the last so many milliseconds. */
  *recent(span: number): Generator<string, void, undefined> {
    for (const key of this.#notes.keys()) if (this.within(key, span)) yield key
  }

  /** @param at - when it happened, of `performance.now()`. */
  note(key: string, what?: T, at: number = performance.now()): void {
    // A Map keeps the order of insertion, so the first key is the one noted longest ago.
    this.#notes.delete(key)
    this.#notes.set(key, { at, what })
    if (this.#notes.size > this.#max) {
      for (const oldest of this.#notes.keys()) {
        this.#notes.delete(oldest)
        break
      }
    }
  }

  forget(key: string): void {
    this.#notes.delete(key)
  }
}

interface Note<T> {
  /** A time of `performance.now()`. */
  readonly at: number
  readonly what: T | undefined
}
