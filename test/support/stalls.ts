/** When, and for how long, nothing in this process could run: the machine's doing, not the product's. */
export class Stalls implements Disposable {
  readonly #every = 10
  readonly #found: { at: number; length: number }[] = []
  readonly #timer: NodeJS.Timeout
  #last: number = performance.now()

  constructor() {
    this.#timer = setInterval(() => this.#tick(), this.#every)
  }

  /** How much of this time was lost. */
  within({ started, ended }: { started: number; ended: number }): number {
    this.#tick()
    let sum = 0
    for (const { at, length } of this.#found) {
      if (at >= started && at - length <= ended) sum += length
    }
    return sum
  }

  #tick(): void {
    const now = performance.now()
    const length = now - this.#last - this.#every
    this.#last = now
    // Less is the timer's own.
    if (length > 1) this.#found.push({ at: now, length })
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
