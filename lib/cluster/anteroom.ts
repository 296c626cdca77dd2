import { AsyncResource } from 'node:async_hooks'
import { closedError, MemcachedStoreError } from '../errors.ts'
import type { ReplyCallback } from '../memcached/node.ts'
import type { Home } from './cluster.ts'

/** Sends a request to the home of its key. */
type Send = (home: Home, done: ReplyCallback) => void

interface Waiter {
  readonly go: (home: (key: string) => Home) => void
  readonly fail: (error: MemcachedStoreError) => void
}

/**
 * Where requests wait until the servers are known, each until its deadline at most. When they could not be
 * found all fail, and those that come later fail at once, until they are.
 */
export class Anteroom {
  /** Milliseconds. */
  readonly #timeout: number
  readonly #waiting: Set<Waiter> = new Set()
  #failure: MemcachedStoreError | null = null

  constructor(timeout: number) {
    this.#timeout = timeout
  }

  /** Stands for the home of a key. */
  home(key: string): Home {
    return {
      address: 'a server that is not known yet',
      get: (name, done) => this.#add(key, (home, settle) => home.get(name, settle), done),
      write: (mode, item, version, done) =>
        this.#add(key, (home, settle) => home.write(mode, item, version, settle), done),
      delete: (name, version, done) =>
        this.#add(key, (home, settle) => home.delete(name, version, settle), done),
    }
  }

  /** Waits as a request does. */
  known(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#add(
        '',
        (_home, settle) => settle(null, null),
        error => (error === null ? resolve() : reject(error)),
      )
    })
  }

  /** The servers are known. */
  open(home: (key: string) => Home): void {
    for (const waiter of [...this.#waiting]) waiter.go(home)
  }

  /** They could not be found. */
  fail(cause: Error): void {
    this.#close(unavailable('are not known: the function in `servers` failed', cause))
  }

  close(): void {
    this.#close(closedError())
  }

  #close(failure: MemcachedStoreError): void {
    this.#failure = failure
    for (const waiter of [...this.#waiting]) waiter.fail(failure)
  }

  #add(key: string, send: Send, done: ReplyCallback): void {
    if (this.#failure !== null) {
      process.nextTick(done, this.#failure, null)
      return
    }
    let isSent = false
    let isOver = false
    const settle: ReplyCallback = AsyncResource.bind((error, reply) => {
      if (isOver) return
      isOver = true
      clearTimeout(deadline)
      this.#waiting.delete(waiter)
      done(error, reply)
    })
    const waiter: Waiter = {
      go: home => {
        isSent = true
        this.#waiting.delete(waiter)
        send(home(key), settle)
      },
      fail: error => settle(error, null),
    }
    const deadline = setTimeout(() => settle(isSent ? this.#late() : this.#unanswered(), null), this.#timeout)
    this.#waiting.add(waiter)
  }

  #unanswered(): MemcachedStoreError {
    return unavailable(
      `are not known: the function in \`servers\` has not answered within ${this.#timeout} ms`,
    )
  }

  #late(): MemcachedStoreError {
    return new MemcachedStoreError('ERR_TIMEOUT', `No answer from memcached within ${this.#timeout} ms`)
  }
}

function unavailable(what: string, cause?: Error): MemcachedStoreError {
  return new MemcachedStoreError('ERR_UNAVAILABLE', `The servers ${what}`, { cause })
}
