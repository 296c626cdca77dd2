/** Where progress is shown, if people look at it. */
export interface Terminal {
  readonly isTTY?: boolean | undefined
  write(text: string): unknown
}

/** Milliseconds between two updates, and before the first: what is done sooner needs none. */
const INTERVAL = 200
/** Back to the beginning of the line, which is then cleared (ECMA-48: CR, EL). */
const CLEAR = '\r\x1b[K'

/** Shows on a terminal how many keys have been looked at. */
export class Progress {
  readonly #terminal: Terminal
  readonly #server: string
  #keys = 0
  #shownAt: number = performance.now()
  #isShown = false

  constructor(terminal: Terminal, server: string) {
    this.#terminal = terminal
    this.#server = server
  }

  add(keys: number): void {
    this.#keys += keys
    const now = performance.now()
    if (this.#terminal.isTTY !== true || now - this.#shownAt < INTERVAL) return
    this.#shownAt = now
    this.#isShown = true
    this.#terminal.write(`${CLEAR}${this.#server}: ${this.#keys.toLocaleString('en')} keys`)
  }

  end(): void {
    if (this.#isShown) this.#terminal.write(CLEAR)
  }
}
