/** A read goes on with the next at once, a write holds the lane until it leaves. */
type Kind = 'read' | 'write'

interface Waiting {
  readonly kind: Kind
  readonly task: () => void
  readonly timer: NodeJS.Timeout
}

interface Lane {
  /** Writes that are in flight: one, or more where a waiting one lost its patience. */
  writing: number
  queue: Waiting[] | null
}

/**
 * Orders what this process does to one session: one write at a time, and a read that comes while a
 * write is in flight waits for it, so that what was saved is read. Nobody waits longer than the
 * patience: then it goes ahead, as another process would, and conditional writes keep it safe.
 */
export class Lanes {
  readonly #patience: number
  readonly #lanes: Map<string, Lane> = new Map()

  /** @param patience - milliseconds. */
  constructor(patience: number) {
    this.#patience = patience
  }

  /** Runs the read now, or after the writes that are in flight. */
  read(sid: string, task: () => void): void {
    const lane = this.#lanes.size === 0 ? undefined : this.#lanes.get(sid)
    if (lane === undefined) task()
    else this.#wait(lane, 'read', task)
  }

  /** Runs the write now, or in its turn. It must {@link leave} when done. */
  write(sid: string, task: () => void): void {
    const lane = this.#lanes.get(sid)
    if (lane === undefined) {
      this.#lanes.set(sid, { writing: 1, queue: null })
      task()
    } else {
      this.#wait(lane, 'write', task)
    }
  }

  /** A write has ended. */
  leave(sid: string): void {
    const lane = this.#lanes.get(sid)
    if (lane === undefined || --lane.writing > 0) return
    while (lane.queue !== null && lane.queue.length > 0 && lane.writing === 0) {
      const next = lane.queue.shift() as Waiting
      clearTimeout(next.timer)
      if (next.kind === 'write') lane.writing++
      next.task()
    }
    if (lane.writing === 0 && this.#lanes.get(sid) === lane) this.#lanes.delete(sid)
  }

  #wait(lane: Lane, kind: Kind, task: () => void): void {
    const timer = setTimeout(() => {
      lane.queue = (lane.queue as Waiting[]).filter(one => one !== waiting)
      if (kind === 'write') lane.writing++
      task()
    }, this.#patience)
    const waiting: Waiting = { kind, task, timer }
    lane.queue ??= []
    lane.queue.push(waiting)
  }
}
