// One contender in a process of its own, which measures what it is told to. Its own process, because
// in a shared one the heap, the garbage and the inline caches of each would be paid for by the next;
// an application has one store only. The rounds of all contenders alternate (see rounds.js).

import { contenders } from '../contenders.js'
import { measure } from './measure.js'
import { edit, newSession, newSid } from './sessions.js'

const [name, port] = process.argv.slice(2)
const { store } = await contenders[name].open(Number(port))

/** Sessions in the store; each slot of a loop has its own. */
let sids = /** @type {string[]} */ ([])
let sessions = /** @type {any[]} */ ([])
/** What requests of the first slots have read, to be touched. */
let lives = /** @type {any[]} */ ([])
let turn = 0

const read = (/** @type {string} */ sid) =>
  new Promise((resolve, reject) => {
    store.get(sid, (/** @type {any} */ error, /** @type {any} */ value) =>
      error || !value ? reject(error ?? new Error('No session')) : resolve(value),
    )
  })
const live = (/** @type {string} */ sid, /** @type {any} */ value) =>
  store.createSession({ sessionID: sid, sessionStore: store }, value)

/** @typedef {{ operations: number, inFlight: number, every?: number }} Options */

/** @type {Record<string, (options: Options) => Promise<any>>} */
const tasks = {
  async get(options) {
    const measured = await measure((slot, done) => store.get(sids[slot], done), options)
    if (measured.empty > 0) throw new Error(`${measured.empty} sessions were missing`)
    return measured
  },

  /** A plain object that the store has not read. */
  set(options) {
    const save = (/** @type {number} */ slot, /** @type {any} */ done) => {
      edit(sessions[slot], turn++)
      store.set(sids[slot], sessions[slot], done)
    }
    return measure(save, options)
  },

  /** What a request does: the session was read, express-session made it live, a handler changed it. */
  save: options => saves(options, value => value),

  /** The same object, but made from a copy, so that the store cannot know that it was ever read. */
  saveUnread: options => saves(options, value => JSON.parse(JSON.stringify(value))),

  async touch(options) {
    if (store.touch === undefined) return null
    for (let slot = lives.length; slot < options.inFlight; slot++) {
      lives.push(live(sids[slot], await read(sids[slot])))
    }
    return measure((slot, done) => store.touch(sids[slot], lives[slot], done), options)
  },

  /** Reading 100 sessions in one call, against one after another. */
  async getMany({ operations }) {
    const many = sids.slice(0, 100)
    let began = performance.now()
    for (let i = 0; i < operations; i++) for (const sid of many) await read(sid)
    const oneByOne = (performance.now() - began) / operations
    began = performance.now()
    for (let i = 0; i < operations; i++) {
      if ((await store.getMany(many)).size !== many.length) throw new Error('Sessions were missing')
    }
    return { oneByOne, atOnce: (performance.now() - began) / operations }
  },
}

/**
 * Each session is saved once after it was read. Reading is not measured, so it goes in chunks: the
 * sessions of a chunk are read, then saved under the clock.
 * @param {Options} options @param {(value: any) => any} prepare
 */
async function saves({ operations, ...rest }, prepare) {
  const chunk = sids.length
  const total = { cpu: 0, seconds: 0, failed: 0, latencies: /** @type {number[]} */ ([]) }
  const chunks = Math.ceil(operations / chunk)
  for (let i = 0; i < chunks; i++) {
    const fresh = await Promise.all(sids.map(async sid => live(sid, prepare(await read(sid)))))
    for (const value of fresh) edit(value, turn++)
    let next = 0
    const save = (/** @type {number} */ _slot, /** @type {any} */ done) => {
      const at = next++
      store.set(sids[at], fresh[at], done)
    }
    const measured = await measure(save, { operations: chunk, ...rest })
    total.cpu += measured.cpu
    total.seconds += chunk / measured.perSecond
    total.failed += measured.failed
    total.latencies.push(...measured.latencies)
  }
  const { failed, latencies } = total
  return { cpu: total.cpu / chunks, perSecond: (chunks * chunk) / total.seconds, empty: 0, failed, latencies }
}

/** @param {{ bytes: number, count: number }} options */
async function prepare({ bytes, count }) {
  lives = []
  sids = Array.from({ length: count }, newSid)
  sessions = sids.map((_, variant) => newSession(bytes, variant))
  for (let at = 0; at < count; at++) {
    await new Promise((resolve, reject) => {
      store.set(sids[at], sessions[at], (/** @type {any} */ error) => (error ? reject(error) : resolve(null)))
    })
  }
}

process.on('message', async (/** @type {any} */ { task, options }) => {
  try {
    process.send?.({ result: await (task === 'prepare' ? prepare(options) : tasks[task](options)) })
  } catch (error) {
    process.send?.({ error: String(error) })
  }
})
process.on('disconnect', () => process.exit())
process.send?.({ result: 'ready' })
