/** A small bounded memory of what happened to a key last. */
export class Recent {
  readonly #most: number
  readonly #times: Map<string, number> = new Map()

  constructor(most: number) {
    this.#most = most
  }

  /** Has this key been noted in the last so many milliseconds? */
  within(key: string, span: number): boolean {
    const time = this.#times.get(key)
    return time !== undefined && Date.now() - time < span
  }

  note(key: string): void {
    // A Map keeps the order of insertion, so the first key is the one noted longest ago.
    this.#times.delete(key)
    this.#times.set(key, Date.now())
    if (this.#times.size > this.#most) {
      for (const oldest of this.#times.keys()) {
        this.#times.delete(oldest)
        break
      }
    }
  }

  forget(key: string): void {
    this.#times.delete(key)
  }
}
