import type { Request } from './request.ts'

/** Requests that wait, in order. The links are in the requests: no allocation, no shifting. */
export class RequestQueue {
  first: Request | null = null
  #last: Request | null = null
  size = 0

  push(request: Request): void {
    request.next = null
    if (this.#last === null) this.first = request
    else this.#last.next = request
    this.#last = request
    this.size++
  }

  /** The deadline that comes first. What a protocol asks for once more stands behind later ones. */
  get deadline(): number {
    let soonest = Infinity
    for (let request = this.first; request !== null; request = request.next) {
      if (request.deadline < soonest) soonest = request.deadline
    }
    return soonest
  }

  /** Takes the first; there must be one. */
  shift(): Request {
    const first = this.first as Request
    this.first = first.next
    if (this.first === null) this.#last = null
    first.next = null
    this.size--
    return first
  }

  /** Takes one of those that wait. */
  remove(request: Request): void {
    if (request === this.first) {
      this.shift()
      return
    }
    let before = this.first as Request
    while (before.next !== request) before = before.next as Request
    before.next = request.next
    if (request === this.#last) this.#last = before
    request.next = null
    this.size--
  }

  /** Takes all, one after the other: each is free to be put in another queue. */
  *drain(): Generator<Request> {
    while (this.first !== null) yield this.shift()
  }
}
