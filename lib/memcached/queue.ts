import type { Request } from './request.ts'

/** Requests that wait for their replies, in order. The links are in the requests: no allocation, no shifting. */
export class Queue {
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

  shift(): void {
    const first = this.first as Request
    this.first = first.next
    if (this.first === null) this.#last = null
    first.next = null
    this.size--
  }
}
