/** Holds everybody up until all have arrived. */
export class Barrier {
  #missing: number
  #open: () => void = () => {}
  readonly #opened: Promise<void>

  constructor(count: number) {
    this.#missing = count
    this.#opened = new Promise(resolve => {
      this.#open = resolve
    })
  }

  arrive(): Promise<void> {
    this.#missing--
    if (this.#missing <= 0) this.#open()
    return this.#opened
  }
}
