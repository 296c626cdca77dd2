/** Milliseconds between two looks at the deadlines, at most; a short timeout is looked at ten times. */
const MAX_TICK = 25

/**
 * The time that deadlines go by. One timer advances it, by two of its ticks at most: that costs a request
 * nothing, and a process that was itself busy for a second looks at its socket before it blames the server.
 */
export class Clock {
  /** Whole milliseconds: a deadline is a number without a memory of its own then. Stands still while it does not run. */
  now = 0
  /** Milliseconds that a request has: the timeout, and a tick more, since the clock may lag by one (by two in a busy process). */
  readonly patience: number
  readonly #tickLength: number
  readonly #onTick: () => void
  #ticked = 0
  #timer: NodeJS.Timeout | undefined

  /** @param timeout - milliseconds. @param onTick - called after each tick. */
  constructor(timeout: number, onTick: () => void) {
    this.#tickLength = Math.max(1, Math.min(MAX_TICK, Math.floor(timeout / 10)))
    this.patience = Math.ceil(timeout) + this.#tickLength
    this.#onTick = onTick
  }

  get isRunning(): boolean {
    return this.#timer !== undefined
  }

  /** Milliseconds that are left of a request's timeout. @param deadline - with {@link patience}. */
  until(deadline: number): number {
    return deadline - this.now - this.#tickLength
  }

  /** Keeps no process alive, unless {@link hold} is called. */
  start(): void {
    this.#ticked = Math.floor(performance.now())
    this.#timer = setInterval(() => this.#tick(), this.#tickLength).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Keeps the process alive, until it {@link release}s it. */
  hold(): void {
    this.#timer?.ref()
  }

  release(): void {
    this.#timer?.unref()
  }

  #tick(): void {
    const now = Math.floor(performance.now())
    this.now += Math.min(now - this.#ticked, 2 * this.#tickLength)
    this.#ticked = now
    this.#onTick()
  }
}
