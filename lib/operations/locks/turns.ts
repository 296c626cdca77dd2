/** Lets those who want the same in one after the other, in the order in which they came. */
export class Turns {
  readonly #waiting: Map<string, Set<(comes: boolean) => void>> = new Map()

  /** False where it has not come within so many milliseconds, or never will; who got it must {@link pass} it on. */
  take(name: string, wait: number): Promise<boolean> {
    const waiting = this.#waiting.get(name)
    if (waiting === undefined) {
      this.#waiting.set(name, new Set())
      return Promise.resolve(true)
    }
    return new Promise(resolve => {
      const settle = (comes: boolean): void => {
        clearTimeout(timer)
        waiting.delete(settle)
        resolve(comes)
      }
      const timer = setTimeout(settle, wait, false)
      waiting.add(settle)
    })
  }

  pass(name: string): void {
    const waiting = this.#waiting.get(name) as Set<(comes: boolean) => void>
    const [next] = waiting
    if (next === undefined) this.#waiting.delete(name)
    else next(true)
  }

  /** Nobody who waits gets a turn any more. */
  end(): void {
    for (const waiting of this.#waiting.values()) {
      for (const settle of waiting) settle(false)
    }
  }
}
