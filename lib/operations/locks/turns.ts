/** Lets those who want the same in one after the other, in the order in which they came. */
export class Turns {
  readonly #waiting: Map<string, Set<() => void>> = new Map()

  /** False where it has not come within so many milliseconds; who got it must {@link pass} it on. */
  take(name: string, wait: number): Promise<boolean> {
    const waiting = this.#waiting.get(name)
    if (waiting === undefined) {
      this.#waiting.set(name, new Set())
      return Promise.resolve(true)
    }
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        waiting.delete(enter)
        resolve(false)
      }, wait)
      const enter = (): void => {
        clearTimeout(timer)
        resolve(true)
      }
      waiting.add(enter)
    })
  }

  pass(name: string): void {
    const waiting = this.#waiting.get(name) as Set<() => void>
    const [next] = waiting
    if (next === undefined) {
      this.#waiting.delete(name)
    } else {
      waiting.delete(next)
      next()
    }
  }
}
