import { AsyncResource } from 'node:async_hooks'
import { MemcachedStoreError } from '../errors.ts'
import type { Done } from './context.ts'
import { before } from './deadline.ts'

/** A read goes on with the next at once, a write holds the lane until it leaves. */
type Kind = 'read' | 'write'

interface Waiting {
  readonly kind: Kind
  readonly task: () => void
  timer: NodeJS.Timeout
}

interface Lane {
  /** Writes that are in flight: one, or more where a waiting one lost its patience. */
  writing: number
  /** Writes that have ended: a sign that those who wait will have their turn. */
  ended: number
  queue: Waiting[] | null
}

/**
 * Orders what this process does to one session: one write at a time, and a read that comes while a
 * write is in flight waits for it, so that what was saved is read. Nobody waits longer than half the
 * timeout: then it goes ahead, as another process would, and conditional writes keep it safe. Who had
 * to wait is answered by the timeout all the same. Only updates, which have no deadline, wait for their
 * turn while others get on: thousands at once would meet each other at every write.
 */
export class Lanes {
  readonly #timeout: number
  readonly #lanes: Map<string, Lane> = new Map()

  /** @param timeout - milliseconds. */
  constructor(timeout: number) {
    this.#timeout = timeout
  }

  /** Runs the read now, or after the writes that are in flight. */
  read<T>(sid: string, done: Done<T>, task: (done: Done<T>) => void): void {
    const lane = this.#lanes.size === 0 ? undefined : this.#lanes.get(sid)
    if (lane === undefined) task(done)
    else this.#wait(lane, 'read', done, task)
  }

  /** Runs the write now, or in its turn. It must {@link leave} when done. */
  write<T>(sid: string, done: Done<T>, task: (done: Done<T>) => void): void {
    const lane = this.#lanes.get(sid)
    if (lane === undefined) {
      this.#lanes.set(sid, { writing: 1, ended: 0, queue: null })
      task(done)
    } else {
      this.#wait(lane, 'write', done, task)
    }
  }

  /** The same for several steps in a row, whose deadlines are their own. Waits for as long as others get on. */
  enter(sid: string): Promise<void> {
    return new Promise(resolve => this.write(sid, never, () => resolve()))
  }

  /** A write has ended. */
  leave(sid: string): void {
    const lane = this.#lanes.get(sid)
    if (lane === undefined) return
    lane.ended++
    if (--lane.writing > 0) return
    while (lane.queue !== null && lane.queue.length > 0 && lane.writing === 0) {
      const next = lane.queue.shift() as Waiting
      clearTimeout(next.timer)
      if (next.kind === 'write') lane.writing++
      next.task()
    }
    if (lane.writing === 0 && this.#lanes.get(sid) === lane) this.#lanes.delete(sid)
  }

  /** What waits is run by whoever ends, in the async context that it came in. */
  #wait<T>(lane: Lane, kind: Kind, done: Done<T>, task: (done: Done<T>) => void): void {
    const failure = new MemcachedStoreError(
      'ERR_TIMEOUT',
      `Not done within ${this.#timeout} ms: others came first`,
    )
    const settle = done === never ? done : before(this.#timeout, failure, done)
    let { ended } = lane
    const patience = done === never ? this.#timeout : this.#timeout / 2
    const lookAgain = (): NodeJS.Timeout => setTimeout(look, patience)
    const look = (): void => {
      if (done === never && ended !== lane.ended) {
        ended = lane.ended
        waiting.timer = lookAgain()
        return
      }
      lane.queue = (lane.queue as Waiting[]).filter(one => one !== waiting)
      if (kind === 'write') lane.writing++
      waiting.task()
    }
    const waiting: Waiting = { kind, timer: lookAgain(), task: AsyncResource.bind(() => task(settle)) }
    lane.queue ??= []
    lane.queue.push(waiting)
  }
}

/** Nobody to tell. */
const never: Done<never> = () => {}
