// Mixed traffic on a store, with a memory of what was acknowledged, against which all that is read is
// held. Each worker has a key of its own in every session and counts it up, so that what may be found
// there is known: no less than was acknowledged, no more than was tried (a write without an answer may
// have been applied, or be applied later by a server that was frozen).

import { setTimeout as sleep } from 'node:timers/promises'
import { newSession, newSid } from './sessions.js'

const SESSIONS = 300
const WORKERS = 48
/** Logged-out ids that are remembered: each is asked for again at random. */
const GRAVES = 1_000
/** ms of rest between two operations of a worker. */
const REST = 4
/** ms after the end of a fault within which errors are to be expected: a probe may wait 5 s and its deadline. */
const GRACE = 7_000

/**
 * @typedef {object} Known one session, as far as it is known
 * @property {string} sid
 * @property {boolean} alive false once a logout was asked for, or the server lost it
 * @property {Map<string, { acknowledged: number, tried: number }>} values by key
 */

export class Traffic {
  counts = { operations: 0, acknowledged: 0, confirmed: 0, refused: 0, lost: 0, logouts: 0, longest: 0 }
  /** What must not be, how often, and the first of it. */
  violations = { count: 0, first: /** @type {string[]} */ ([]) }
  /** Errors are expected until then. */
  forgiven = 0

  #store
  #random
  #running = true
  /** Counts the times that the server lost everything. */
  #generation = 0
  /** @type {(Known | Promise<Known | null> | undefined)[]} */
  #sessions = new Array(SESSIONS)
  /** @type {string[]} */
  #graves = []
  #workers

  /** @param {any} store @param {() => number} random */
  constructor(store, random) {
    this.#store = store
    this.#random = random
    this.#workers = Array.from({ length: WORKERS }, (_, index) => this.#work(`w${index}`))
  }

  /** Called when the server has been emptied: nobody can be held to what it held. */
  emptied() {
    this.#generation++
    for (const known of this.#sessions) {
      if (known === undefined || known instanceof Promise) continue
      known.alive = false
      for (const { acknowledged } of known.values.values()) this.counts.lost += acknowledged
    }
    this.#sessions = new Array(SESSIONS)
    this.#graves = []
  }

  /** Stops the workers; whoever has not ended in 10 s hangs. */
  async stop() {
    this.#running = false
    const patience = new AbortController()
    const ended = await Promise.race([
      Promise.all(this.#workers).then(() => true),
      sleep(10_000, false, patience).catch(() => false),
    ])
    patience.abort()
    if (!ended) this.#violate('an operation has not ended 10 s after the last fault')
  }

  /** Reads everything once more. */
  async audit() {
    for (const known of this.#sessions) {
      if (known !== undefined && !(known instanceof Promise)) await this.#read(known)
    }
    for (const sid of this.#graves) await this.#grave(sid)
  }

  /** @param {string} what */
  #violate(what) {
    if (this.violations.count++ < 5) this.violations.first.push(what)
  }

  /** @param {string} key of this worker's own */
  async #work(key) {
    while (this.#running) {
      const index = Math.floor(this.#random() * SESSIONS)
      this.#sessions[index] ??= this.#create(index)
      const known = await this.#sessions[index]
      const dice = this.#random()
      if (known === null || known === undefined) await sleep(50)
      else if (dice < 0.4) await this.#read(known)
      else if (dice < 0.75) await this.#save(known, key)
      else if (dice < 0.9) await this.#update(known)
      else if (dice < 0.97) await this.#touch(known)
      else if (dice < 0.98) await this.#logout(known, index)
      else if (this.#graves.length > 0)
        await this.#grave(this.#graves[Math.floor(this.#random() * this.#graves.length)])
      await sleep(REST)
    }
  }

  /** @param {number} index @returns {Promise<Known | null>} */
  async #create(index) {
    const generation = this.#generation
    const sid = newSid()
    const { failed } = await this.#attempt('set', () => this.#store.set(sid, newSession(361, index)))
    if (generation !== this.#generation) return null
    /** @type {Known | undefined} */
    const known = failed ? undefined : { sid, alive: true, values: new Map() }
    this.#sessions[index] = known
    return known ?? null
  }

  /** @param {Known} known @returns {Promise<any>} the session; null where nothing can be said */
  async #read(known) {
    const before = new Map([...known.values].map(([key, { acknowledged }]) => [key, acknowledged]))
    const { failed, value: session } = await this.#attempt('get', () => this.#store.get(known.sid))
    if (failed || !known.alive) return null
    if (session === null) {
      this.#violate('a session is gone')
      return null
    }
    for (const [key, least] of before) {
      const found = session[key] ?? 0
      const most = known.values.get(key)?.tried ?? 0
      if (found < least || found > most) this.#violate(`found ${found}, expected ${least} to ${most}`)
      else this.counts.confirmed++
    }
    return session
  }

  /** As a request does it: read, make live, change, save. @param {Known} known @param {string} key */
  async #save(known, key) {
    const stored = await this.#read(known)
    if (stored === null) return
    const session = this.#store.createSession({ sessionID: known.sid, sessionStore: this.#store }, stored)
    await sleep(this.#random() * 10)
    const value = this.#valueOf(known, key)
    session[key] = ++value.tried
    const { failed } = await this.#attempt('set', () => this.#store.set(known.sid, session))
    if (!failed && known.alive) {
      this.counts.acknowledged += value.tried - value.acknowledged
      value.acknowledged = value.tried
    }
  }

  /** A counter that all workers count up. @param {Known} known */
  async #update(known) {
    const value = this.#valueOf(known, 'count')
    value.tried++
    const change = (/** @type {any} */ session) => {
      session.count = (session.count ?? 0) + 1
    }
    const { failed, value: session } = await this.#attempt('update', () =>
      this.#store.update(known.sid, change),
    )
    if (failed || !known.alive) return
    if (session === null) this.#violate('a session to be updated is gone')
    else {
      value.acknowledged++
      this.counts.acknowledged++
    }
  }

  /** @param {Known} known */
  async #touch(known) {
    const stored = await this.#read(known)
    if (stored === null) return
    const session = this.#store.createSession({ sessionID: known.sid, sessionStore: this.#store }, stored)
    await this.#attempt('touch', () => this.#store.touch(known.sid, session))
  }

  /** @param {Known} known @param {number} index */
  async #logout(known, index) {
    if (!known.alive) return
    const generation = this.#generation
    known.alive = false
    this.#sessions[index] = undefined
    const { failed } = await this.#attempt('destroy', () => this.#store.destroy(known.sid))
    if (failed || generation !== this.#generation) return
    this.counts.logouts++
    if (this.#graves.push(known.sid) > GRAVES) this.#graves.shift()
  }

  /** @param {string} sid of a session that was destroyed */
  async #grave(sid) {
    const generation = this.#generation
    const { failed, value } = await this.#attempt('get', () => this.#store.get(sid))
    if (!failed && value !== null && generation === this.#generation) this.#violate('a logout was undone')
  }

  /** @param {Known} known @param {string} key */
  #valueOf(known, key) {
    const value = known.values.get(key) ?? { acknowledged: 0, tried: 0 }
    known.values.set(key, value)
    return value
  }

  /** @param {string} name @param {() => Promise<any>} operation */
  async #attempt(name, operation) {
    const began = performance.now()
    this.counts.operations++
    try {
      return { failed: false, value: await operation() }
    } catch (error) {
      this.counts.refused++
      const { code = String(error) } = /** @type {any} */ (error)
      const expected = code === 'ERR_UNAVAILABLE' || code === 'ERR_TIMEOUT'
      if (!expected || performance.now() > this.forgiven + GRACE) this.#violate(`${name}: ${code}`)
      return { failed: true, value: null }
    } finally {
      this.counts.longest = Math.max(this.counts.longest, performance.now() - began)
    }
  }
}
