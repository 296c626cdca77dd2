import { closedError, MemcachedStoreError } from '../errors.ts'
import { isBinaryOnly } from './binary/binary-statistics.ts'
import type { Target } from './exchange.ts'
import { untilGrown } from './growth.ts'
import { readStatistics } from './read-statistics.ts'
import type { Statistics } from './statistics.ts'
import { readTextStatistics } from './text/text-statistics.ts'
import { type WalkOptions, walk } from './walk.ts'

/** Looks at a server as a whole, on connections beside the one that serves visitors. */
export class Inspector {
  readonly #target: Target
  readonly #closing: AbortController = new AbortController()
  #last: Promise<unknown> = Promise.resolve()

  constructor(target: Target) {
    this.#target = target
  }

  /**
   * Lists keys. One walk after the other: memcached does no more. One that is no longer wanted is not
   * heard any more, but runs to its end: before 1.6.26 memcached could crash over a client that left
   * early (its release notes). Only {@link close} breaks it off.
   */
  walk(options: WalkOptions): Promise<void> {
    const { signal, take } = options
    const walked = this.#last.then(async () => {
      signal.throwIfAborted()
      await this.#walk({
        ...options,
        take(item) {
          if (!signal.aborted) take(item)
        },
        signal: this.#closing.signal,
      })
      signal.throwIfAborted()
    })
    this.#last = walked.catch(() => {})
    return walked
  }

  statistics(): Promise<Statistics> {
    return readStatistics(this.#target, this.#closing.signal)
  }

  /** Ends what is under way. */
  close(): void {
    this.#closing.abort(closedError())
  }

  async #walk(options: WalkOptions): Promise<void> {
    let heard = false
    const progress = (keys: number): void => {
      heard = true
      options.progress?.(keys)
    }
    const ready = (patience: number): Promise<void> => untilGrown(this.#target, patience, options.signal)
    try {
      await walk(this.#target, { ...options, progress, ready })
    } catch (error) {
      options.signal.throwIfAborted()
      // Silent, or closed without a word: it was cut, or it does not understand the text protocol, or the command.
      if (heard) throw error
      await this.#explain(error, options.signal)
      throw error
    }
  }

  /** Throws where the server cannot list at all. */
  async #explain(cause: unknown, signal: AbortSignal): Promise<void> {
    const { name } = this.#target.address
    const told = await readTextStatistics(this.#target, signal).catch(() => null)
    if (told !== null) {
      if (told.general.has('pid')) return
      throw new MemcachedStoreError(
        'ERR_NOT_SUPPORTED',
        `memcached on ${name} lists no keys, and so no sessions: it is a proxy, and has no command for it`,
        { cause },
      )
    }
    if (!(await isBinaryOnly(this.#target, signal))) return
    throw new MemcachedStoreError(
      'ERR_NOT_SUPPORTED',
      `memcached on ${name} lists no keys, and so no sessions: it speaks only the ` +
        'binary protocol, as it does with passwords (-S), and that has no command for it',
      { cause },
    )
  }
}
