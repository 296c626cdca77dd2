import { asError } from '../errors.ts'
import type { ServerAddress } from '../memcached/address.ts'

/** Milliseconds until servers are asked for again while there are none: doubled each time, up to the last. */
const FIRST_PAUSE = 100
const MAX_PAUSE = 1000

export interface ServerListOptions {
  /** Asks for the servers. */
  readonly find: () => Promise<readonly ServerAddress[]>
  /** Milliseconds. */
  readonly refresh: number
  /** Gets each answer. What it throws makes that a failure. */
  readonly take: (servers: readonly ServerAddress[]) => void
  readonly onFailure: (error: Error) => void
}

/**
 * Asks for the servers: at the start, and again and again; soon while there are none that answer. An answer
 * that has not come when the next one is asked for is not heard any more. Keeps no process alive.
 */
export class ServerList {
  readonly #options: ServerListOptions
  #timer: NodeJS.Timeout | undefined
  /** The last time it was asked for; what is not of this turn is over. */
  #turn = 0
  #askedAt = 0
  #isAsking = false
  /** Is there no server that answers? */
  #isUrgent = true
  #misses = 0

  constructor(options: ServerListOptions) {
    this.#options = options
  }

  start(): void {
    void this.#ask()
  }

  /** No server answers. */
  hurry(): void {
    if (this.#isUrgent) return
    this.#isUrgent = true
    this.#misses = 0
    if (!this.#isAsking) this.#askIn(this.#askedAt + MAX_PAUSE - performance.now())
  }

  /** One does. */
  calm(): void {
    this.#isUrgent = false
  }

  stop(): void {
    this.#turn = Infinity
    clearTimeout(this.#timer)
  }

  #askIn(milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#ask(), Math.max(milliseconds, 0)).unref()
  }

  async #ask(): Promise<void> {
    const { find, refresh, take, onFailure } = this.#options
    const turn = ++this.#turn
    this.#askedAt = performance.now()
    this.#isAsking = true
    // It may never answer.
    this.#askIn(refresh)
    try {
      const servers = await find()
      if (turn !== this.#turn) return
      take(servers)
    } catch (error) {
      if (turn !== this.#turn) return
      onFailure(asError(error))
    }
    this.#isAsking = false
    const soon = Math.min(FIRST_PAUSE * 2 ** this.#misses++, MAX_PAUSE)
    this.#askIn(this.#isUrgent ? Math.min(soon, refresh) : refresh)
  }
}
