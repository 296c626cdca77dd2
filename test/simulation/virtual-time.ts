import type { Random } from './random.ts'

/** A process's clock: what its `Date.now()` is ahead of the world's, in milliseconds. */
export interface Clock {
  skew: number
}

/** Something that will happen; `cancel` it by {@link VirtualTime.cancel}. */
export interface Event {
  readonly time: number
  readonly order: number
  readonly owner: Clock
  run: (() => void) | null
}

/** What a timer of the world is to those who set it. */
class Timer {
  event: Event | undefined

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

const REAL = {
  dateNow: Date.now,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  nextTick: process.nextTick,
  random: Math.random,
}
const realNextTick = process.nextTick.bind(process)

/** When every history begins: a time in the middle of a second of some Wednesday. */
export const BEGINNING = 1_790_000_000_400

/**
 * The time of a simulated world: a queue of events, one after the other, each with all that follows from it at
 * once (ticks and promises, in Node's own order). Nothing waits for real time. While it runs, the globals that
 * tell time and chance are the world's; whose clock they show is said by the event that runs.
 */
export class VirtualTime {
  /** Milliseconds since 1970 by the world's own clock. */
  now: number = BEGINNING
  /** Told of what an event, a tick or a timer throws. */
  onThrow: (thrown: unknown) => void = thrown => {
    throw thrown
  }
  #owner: Clock = { skew: 0 }
  readonly #random: Random
  readonly #events: Event[] = []
  readonly #ticks: (() => void)[] = []
  #order = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** The process whose turn it is. */
  get owner(): Clock {
    return this.#owner
  }

  /** What this process's clock shows. */
  shownTo(clock: Clock): number {
    return Math.floor(this.now + clock.skew)
  }

  at(time: number, owner: Clock, run: () => void): Event {
    const event = { time: Math.max(time, this.now), order: this.#order++, owner, run }
    this.#push(event)
    return event
  }

  after(milliseconds: number, owner: Clock, run: () => void): Event {
    return this.at(this.now + milliseconds, owner, run)
  }

  cancel(event: Event | undefined): void {
    if (event !== undefined) event.run = null
  }

  pause(milliseconds: number): Promise<void> {
    return new Promise(resolve => this.after(milliseconds, this.#owner, resolve))
  }

  /** Lets time pass until `isOver`, which gives true, or until nothing is left to happen, which gives false. */
  run(isOver: () => boolean): Promise<boolean> {
    return new Promise(resolve => {
      const turn = (): void => {
        if (this.#ticks.length > 0) {
          this.#runTicks()
        } else {
          const event = isOver() ? undefined : this.#pop()
          if (event === undefined) {
            this.#leave()
            resolve(isOver())
            return
          }
          this.now = event.time
          this.#owner = event.owner
          if (event.run !== null) this.#guard(event.run)
        }
        settle()
      }
      // Promises first: Node runs them when no tick is left, and comes back only when none of them is.
      const settle = (): void => queueMicrotask(() => realNextTick(turn))
      this.#enter()
      settle()
    })
  }

  #runTicks(): void {
    for (let at = 0; at < this.#ticks.length; at++) this.#guard(this.#ticks[at] as () => void)
    this.#ticks.length = 0
  }

  #guard(run: () => void): void {
    try {
      run()
    } catch (thrown) {
      this.onThrow(thrown)
    }
  }

  #enter(): void {
    Date.now = () => this.shownTo(this.#owner)
    performance.now = () => this.now - BEGINNING
    Math.random = () => this.#random.next()
    process.nextTick = ((run: (...args: unknown[]) => void, ...args: unknown[]) => {
      this.#ticks.push(args.length === 0 ? run : () => run(...args))
    }) as typeof process.nextTick
    const set = (run: (...args: unknown[]) => void, wait = 1, ...args: unknown[]): Timer => {
      const timer = new Timer()
      timer.event = this.after(Math.max(1, wait), this.#owner, () => run(...args))
      return timer
    }
    const repeat = (run: (...args: unknown[]) => void, wait = 1, ...args: unknown[]): Timer => {
      const timer = new Timer()
      const again = (): void => {
        timer.event = this.after(Math.max(1, wait), this.#owner, again)
        run(...args)
      }
      timer.event = this.after(Math.max(1, wait), this.#owner, again)
      return timer
    }
    const clear = (timer: Timer | undefined): void => this.cancel(timer?.event)
    globalThis.setTimeout = set as unknown as typeof setTimeout
    globalThis.setInterval = repeat as unknown as typeof setInterval
    globalThis.clearTimeout = clear as typeof clearTimeout
    globalThis.clearInterval = clear as typeof clearInterval
  }

  #leave(): void {
    Date.now = REAL.dateNow
    Reflect.deleteProperty(performance, 'now')
    Math.random = REAL.random
    process.nextTick = REAL.nextTick
    globalThis.setTimeout = REAL.setTimeout
    globalThis.setInterval = REAL.setInterval
    globalThis.clearTimeout = REAL.clearTimeout
    globalThis.clearInterval = REAL.clearInterval
  }

  /** A binary heap: the earliest first, and of those at one time the one that was said first. */
  #push(event: Event): void {
    const events = this.#events
    let at = events.length
    events.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (isBefore(events[parent] as Event, event)) break
      events[at] = events[parent] as Event
      at = parent
    }
    events[at] = event
  }

  #pop(): Event | undefined {
    const events = this.#events
    const first = events[0]
    const last = events.pop()
    if (first === undefined || last === undefined || events.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= events.length) break
      if (child + 1 < events.length && isBefore(events[child + 1] as Event, events[child] as Event)) child++
      if (isBefore(last, events[child] as Event)) break
      events[at] = events[child] as Event
      at = child
    }
    events[at] = last
    return first
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order)
}
