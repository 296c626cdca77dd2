/** Lets those who want the same key in one after the other, in the order in which they came. */
export class KeyedMutex {
  readonly #waiting: Map<string, Set<(isIn: boolean) => void>> = new Map()

  /** False where its turn has not come within so many milliseconds, or never will; who got it must {@link release} it. */
  acquire(key: string, wait: number): Promise<boolean> {
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) {
      this.#waiting.set(key, new Set())
      return Promise.resolve(true)
    }
    return new Promise(resolve => {
      const settle = (isIn: boolean): void => {
        clearTimeout(timer)
        waiting.delete(settle)
        resolve(isIn)
      }
      const timer = setTimeout(settle, wait, false)
      waiting.add(settle)
    })
  }

  isHeld(key: string): boolean {
    return this.#waiting.has(key)
  }

  release(key: string): void {
    const waiting = this.#waiting.get(key) as Set<(isIn: boolean) => void>
    const [next] = waiting
    if (next === undefined) this.#waiting.delete(key)
    else next(true)
  }

  /** Nobody who waits gets a turn any more. */
  close(): void {
    for (const waiting of this.#waiting.values()) {
      for (const settle of waiting) settle(false)
    }
  }
}
