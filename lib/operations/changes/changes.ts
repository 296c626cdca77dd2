import { checkId } from '../../session/key.ts'
import type { Context, Done } from '../context.ts'
import type { Change } from './change.ts'
import type { Entry } from './entry.ts'
import { Queue } from './queue.ts'

/**
 * The changes of all sessions, one queue for each session that is being changed. The first is written at
 * once, on what its request read; those that come meanwhile are worked out together and written as one.
 */
export class Changes {
  readonly #queues: Map<string, Queue> = new Map()

  /** @throws TypeError - for an id that is no string. */
  submit<T>(context: Context, sid: string, change: Change<T>, done: Done<T>): void {
    checkId(sid)
    const queue = this.#queues.get(sid)
    if (queue !== undefined) {
      queue.add(change as Change<unknown>, done as Done<unknown>)
      return
    }
    this.#open(context, sid).begin(change as Change<unknown>, done as Done<unknown>)
  }

  /** Goes on with a change that had been set aside. */
  resume(context: Context, sid: string, entry: Entry): void {
    const queue = this.#queues.get(sid) ?? this.#open(context, sid)
    queue.resume(entry)
  }

  #open(context: Context, sid: string): Queue {
    const queue = new Queue(context, sid, () => this.#queues.delete(sid))
    this.#queues.set(sid, queue)
    return queue
  }

  /**
   * Runs a read now, or when the changes that came before it have ended, so that what was saved is read.
   * It waits for half the timeout at most: then it goes ahead, as one of another process would.
   */
  read(sid: string, task: () => void): void {
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(sid)
    if (queue === undefined) task()
    else queue.wait(task)
  }
}
