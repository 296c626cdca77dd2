import { AsyncResource } from 'node:async_hooks'
import type { Done } from '../done.ts'
import type { Entry } from './entry.ts'

/** By the ticks of its queue. */
export interface ReaderTimes {
  /** When it goes ahead, whoever gets on. */
  readonly patience: number
  /** When it has failed. */
  readonly deadline: number
}

/** A read that came behind changes: it waits for the last of them, asks, and has an end by its deadline. */
export class Reader<T = unknown> {
  readonly after: Entry
  readonly patience: number
  readonly deadline: number
  readonly #ask: (done: Done<T>) => void
  readonly #done: Done<T>
  readonly #resource: AsyncResource = new AsyncResource('SESSION_READ')
  #isOver = false

  constructor(ask: (done: Done<T>) => void, done: Done<T>, after: Entry, times: ReaderTimes) {
    this.#ask = ask
    this.#done = done
    this.after = after
    this.patience = times.patience
    this.deadline = times.deadline
  }

  /** @param ended - called before its caller is told, unless it has failed by then. */
  goAhead(ended: () => void): void {
    this.#resource.runInAsyncScope(this.#ask, null, (error: Error | null, result?: T) => {
      if (this.#isOver) return
      ended()
      this.#end(error, result)
    })
  }

  fail(error: Error): void {
    this.#resource.runInAsyncScope(this.#end, this, error)
  }

  #end(error: Error | null, result?: T): void {
    this.#isOver = true
    this.#done(error, result)
  }
}
