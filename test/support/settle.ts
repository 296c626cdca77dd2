import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import { expect } from 'vitest'
import { type MemcachedStore, MemcachedStoreError } from '../../lib/index.ts'
import { fewOrMany } from './few-or-many.ts'
import { Stalls } from './stalls.ts'
import { until } from './until.ts'

/** What became of one operation. */
export interface Outcome {
  readonly what: string
  /** How often it settled. */
  calls: number
  readonly started: number
  ended: number
  error: unknown
  value: unknown
}

type Callback = (error?: unknown, value?: unknown) => void
/** Calls a method of the store, with the callback or, without one, for its promise. */
type Call = (callback?: Callback) => unknown

/** What the product may take beyond its deadline, in milliseconds: four ticks of its clock, two of which only in a busy process. */
const GRACE = 100
/** Milliseconds that a test which checks waits for what must not come. */
const MAX_WAIT = 500

/** A session that says whose it is, so that one which reaches another request shows. */
export function ownSession(sid: string, more: Record<string, unknown> = {}): SessionData {
  return { cookie: { originalMaxAge: null }, owner: sid, ...more } as unknown as SessionData
}

/**
 * Runs operations of a store, by turns with a callback and for a promise, and watches how they settle.
 * {@link settled} is the verdict; whether one settles once more is seen at the end.
 */
export class Operations implements AsyncDisposable {
  readonly #store: MemcachedStore
  readonly #timeout: number
  readonly #stalls: Stalls = new Stalls()
  /** All of them, and where those begin that {@link settled} has not looked at. */
  readonly #all: Outcome[] = []
  #seen = 0

  /** @param timeout - the store's. */
  constructor(store: MemcachedStore, timeout: number) {
    this.#store = store
    this.#timeout = timeout
  }

  get(sid: string): Promise<Outcome> {
    return this.#run(
      `get ${sid}`,
      callback => this.#store.get(sid, callback as Callback),
      value => isOwn(sid, value),
    )
  }

  set(sid: string, session: SessionData = ownSession(sid)): Promise<Outcome> {
    return this.#run(`set ${sid}`, callback => this.#store.set(sid, session, callback as Callback))
  }

  touch(sid: string): Promise<Outcome> {
    return this.#run(`touch ${sid}`, callback =>
      this.#store.touch(sid, ownSession(sid), callback as Callback),
    )
  }

  destroy(sid: string): Promise<Outcome> {
    return this.#run(`destroy ${sid}`, callback => this.#store.destroy(sid, callback as Callback))
  }

  getMany(sids: string[]): Promise<Outcome> {
    const isOwnMap = (value: unknown): boolean =>
      value instanceof Map && [...value].every(([sid, session]) => sids.includes(sid) && isOwn(sid, session))
    return this.#run(
      `getMany of ${sids}`,
      callback => this.#store.getMany(sids, callback as Callback),
      isOwnMap,
    )
  }

  /** `count` operations at once, of all kinds; most are reads and writes. */
  burst(count: number, name = 'burst'): Promise<Outcome[]> {
    return Promise.all(Array.from({ length: count }, (_, index) => this.#mixed(index, `${name}-${index}`)))
  }

  /** Runs `inFlight` operations at any time, each after a short pause, until `end` holds. */
  async steadily(inFlight: number, end: Promise<unknown>): Promise<void> {
    let over = false
    const ending = end.finally(() => {
      over = true
    })
    const worker = async (_: unknown, number: number): Promise<void> => {
      for (let turn = 0; !over; turn++) {
        await this.#mixed(turn, `steady-${number}`)
        await sleep(2)
      }
    }
    await Promise.all([ending, ...Array.from({ length: inFlight }, worker)])
  }

  /**
   * Waits for all operations since the last call, and demands: each settled, within the deadline and
   * 100 ms, beside what the machine held up the event loop; errors are the store's, of these codes,
   * and name no session; values are the session's own.
   */
  async settled(...codes: string[]): Promise<Outcome[]> {
    const outcomes = this.#all.slice(this.#seen)
    this.#seen = this.#all.length
    const allowed = codes.length > 0 ? codes : ['ERR_UNAVAILABLE', 'ERR_TIMEOUT']
    await until(() => outcomes.every(({ calls }) => calls > 0) || null).catch(() => {})
    expect(outcomes.filter(({ calls }) => calls === 0).map(describe), 'never settled').toEqual([])
    const late = outcomes.filter(
      one => one.ended - one.started > this.#timeout + GRACE + this.#stalls.within(one),
    )
    expect(
      late.map(describe).slice(0, 9),
      `${late.length} later than ${this.#timeout} + ${GRACE} ms`,
    ).toEqual([])
    for (const { error } of outcomes) {
      if (error === null) continue
      expect(error).toBeInstanceOf(MemcachedStoreError)
      const { code, status, message } = error as MemcachedStoreError
      expect(allowed, message).toContain(code)
      expect(status).toBe(code === 'ERR_UNAVAILABLE' || code === 'ERR_TIMEOUT' ? 503 : undefined)
      expect(message).not.toMatch(/(burst|steady|recovered)-\d/)
    }
    return outcomes
  }

  /** Runs the operations and gives how many of them have not settled by the next turn of the event loop. */
  async waiting(start: () => unknown): Promise<number> {
    const before = this.#all.length
    start()
    await nextTurn()
    return this.#all.slice(before).filter(({ calls }) => calls === 0).length
  }

  /** Waits until the store serves again, and then demands that it serves everything. */
  async recovered(limit = 10_000): Promise<void> {
    const probe = `recovery-${this.#all.length}`
    const serves = async (): Promise<boolean> => {
      const { error } = await this.set(probe)
      return error === null
    }
    await until(serves, limit)
    const outcomes = await this.burst(50, 'recovered')
    expect(outcomes.map(describe).filter(text => !text.endsWith('success'))).toEqual([])
    expect((await this.get(probe)).value).toMatchObject({ owner: probe })
    await this.settled('ERR_UNAVAILABLE', 'ERR_TIMEOUT', 'ERR_PROTOCOL')
  }

  /** Demands that none settled twice. Whoever does it, does so by the last deadline: a long one is for `test:all`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stalls[Symbol.dispose]()
    const last = this.#all.reduce((latest, { started }) => Math.max(latest, started), 0)
    const deadline = fewOrMany(Math.min(this.#timeout, MAX_WAIT), this.#timeout)
    await sleep(Math.max(0, last + deadline + GRACE - performance.now()))
    expect(this.#all.filter(({ calls }) => calls > 1).map(describe), 'settled twice').toEqual([])
  }

  #mixed(turn: number, sid: string): Promise<Outcome> {
    switch (turn % 8) {
      case 5:
        return this.touch(sid)
      case 6:
        return this.destroy(sid)
      case 7:
        return this.getMany([sid, `${sid}-more`])
      case 0:
      case 3:
        return this.set(sid)
      default:
        return this.get(sid)
    }
  }

  #run(what: string, call: Call, isRight: (value: unknown) => boolean = () => true): Promise<Outcome> {
    const outcome: Outcome = {
      what,
      calls: 0,
      started: performance.now(),
      ended: 0,
      error: null,
      value: undefined,
    }
    this.#all.push(outcome)
    const withCallback = this.#all.length % 2 === 0
    return new Promise((resolve, reject) => {
      const settle: Callback = (error, value) => {
        outcome.calls++
        if (outcome.calls > 1) return
        outcome.ended = performance.now()
        outcome.error = error ?? null
        outcome.value = value
        if (outcome.error === null && !isRight(value)) reject(new Error(`${what} got what is not its own`))
        else resolve(outcome)
      }
      if (withCallback) call(settle)
      else (call() as Promise<unknown>).then(value => settle(null, value), settle)
    })
  }
}

function describe({ what, calls, started, ended, error }: Outcome): string {
  const result = error === null ? 'success' : ((error as MemcachedStoreError).code ?? String(error))
  return `${what}: settled ${calls} times, after ${Math.round(ended - started)} ms, with ${result}`
}

function isOwn(sid: string, session: unknown): boolean {
  return session === null || session === undefined || (session as { owner: string }).owner === sid
}
