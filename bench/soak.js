// Is every acknowledged write still there after a long time of faults, is every logout final, is no
// handle left, and is memory flat?

import { createHook } from 'node:async_hooks'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import session from 'express-session'
import { Child } from './lib/child.js'
import { Server } from './lib/servers.js'
import { number, table } from './lib/table.js'
import { Traffic } from './lib/traffic.js'

/** @typedef {{ server: Server, proxy: Child, traffic: Traffic, random: () => number }} Stage */

export const title = 'Soak'

/** ms between two looks at the heap. */
const SAMPLE = 5_000
/** Bytes that the heap may grow from the first quarter to the end by its slope: what is in flight varies. */
const FLAT = 1_000_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

/** @type {Record<string, (stage: Stage) => Promise<unknown>>} */
const FAULTS = {
  'frozen below the deadline': stage => freeze(stage, 50, 300),
  frozen: stage => freeze(stage, 1_000, 4_000),
  'killed and restarted': stage => kill(stage, 0, 0),
  'killed and away': stage => kill(stage, 500, 4_000),
  'connections reset': ({ proxy }) => proxy.run('reset'),
  'cut within a reply': ({ proxy, random }) => proxy.run('cutAfter', { bytes: Math.floor(random() * 5_000) }),
}

/** @param {import('./run.js').Context} context @returns {Promise<import('./run.js').Section>} */
export async function run({ minutes, seed, changing, every }) {
  const { MemcachedStore } = await import(new URL('dist/index.js', import.meta.url).href)
  const mode = changing ? ` --changing --every ${every}` : ''
  console.log(
    `${minutes} minutes, seed ${seed} (to repeat: npm run soak -- --minutes ${minutes} --seed ${seed}${mode})\n`,
  )
  const random = generator(seed)
  return changing
    ? await withChanges(MemcachedStore, random, minutes, every)
    : await withFaults(MemcachedStore, random, minutes, seed)
}

/**
 * One server, and what may befall it.
 *
 * @param {any} MemcachedStore @param {() => number} random @param {number} minutes @param {number} seed
 */
async function withFaults(MemcachedStore, random, minutes, seed) {
  const server = await Server.start('memcached', '-m', '512')
  const proxy = await Child.start('proxy', 'proxy.js', [`${server.port}`])
  const handles = census()
  try {
    const store = new MemcachedStore({ servers: `127.0.0.1:${proxy.greeting}` })
    const traffic = new Traffic(store, generator(seed + 1))
    const stage = { server, proxy, traffic, random }
    const seen = await torment(minutes * 60_000, () => strike(stage))
    await sleep(8_000)
    await traffic.stop()
    await traffic.audit()
    await store.close()
    await sleep(100)
    return report(traffic, seen, left(handles))
  } finally {
    proxy.stop()
    await server.stop()
  }
}

/**
 * Servers that come and go, with a store behind: nothing may fail, nobody may be logged out, and nothing old come
 * back. Nothing may be left of those that have gone, be it a timer that keeps no process alive.
 *
 * @param {any} MemcachedStore @param {() => number} random @param {number} minutes @param {number} every seconds
 */
async function withChanges(MemcachedStore, random, minutes, every) {
  const fleet = await Promise.all([1, 2, 3, 4].map(() => Server.start('memcached', '-m', '256')))
  const before = await connectionsOf(fleet)
  const timers = new Timers()
  const handles = census()
  try {
    let list = fleet.slice(0, 3).map(address)
    let changes = 0
    const store = new MemcachedStore({ servers: () => list, refresh: 1, backing: new session.MemoryStore() })
    store.on('servers', () => changes++)
    const traffic = new Traffic(store, generator(Math.floor(random() * 2 ** 32)))
    // Nothing is to be forgiven, not even at first.
    traffic.forgiven = Number.NEGATIVE_INFINITY
    const seen = await torment(minutes * 60_000, async () => {
      await sleep(every * 1000)
      list = otherList(fleet, list, random)
      return `${list.length} servers`
    })
    await sleep(3_000)
    await traffic.stop()
    await traffic.audit()
    await store.close()
    await sleep(1_000)
    const open = (await connectionsOf(fleet)) - before
    const rest = [
      ...left(handles),
      ...(open > 0 ? [`${open} connections to servers`] : []),
      ...(timers.alive > 0 ? [`${timers.alive} timers`] : []),
    ]
    const section = report(traffic, seen, rest)
    return { ...section, blocks: [...section.blocks, `The list changed ${changes} times.`] }
  } finally {
    timers.end()
    await Promise.all(fleet.map(server => server.stop()))
  }
}

/** @param {Server} server */
function address({ port }) {
  return `127.0.0.1:${port}`
}

/** Two to four servers, others than those. @param {Server[]} fleet @param {string[]} list @param {() => number} random */
function otherList(fleet, list, random) {
  for (;;) {
    const other = fleet.map(address).filter(() => random() < 0.7)
    if (other.length >= 2 && other.join() !== list.join()) return other
  }
}

/** Client connections of all servers, with the one that asks each. @param {Server[]} fleet */
async function connectionsOf(fleet) {
  const counts = fleet.map(async ({ port }) => {
    const socket = connect(port, '127.0.0.1')
    socket.end('stats\r\nquit\r\n')
    return Number(/STAT curr_connections (\d+)/.exec(await text(socket))?.[1])
  })
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

/** Timers that were set since and have not ended, those too that keep no process alive. */
class Timers {
  /** @type {Set<number>} */
  #alive = new Set()
  #hook = createHook({
    init: (id, type) => {
      if (type === 'Timeout') this.#alive.add(id)
    },
    destroy: id => this.#alive.delete(id),
  }).enable()

  get alive() {
    return this.#alive.size
  }

  end() {
    this.#hook.disable()
  }
}

/**
 * Strikes until the time is over, and looks at the heap.
 *
 * @param {number} duration ms @param {() => Promise<string>} strike does something after a while, and gives its name
 */
async function torment(duration, strike) {
  const end = performance.now() + duration
  /** @type {Record<string, number>} */
  const struck = {}
  /** @type {{ at: number, bytes: number }[]} minutes, bytes of the heap after collection */
  const heap = []
  const sampling = setInterval(() => {
    collect()
    heap.push({ at: performance.now() / 60_000, bytes: process.memoryUsage().heapUsed })
  }, SAMPLE)
  while (performance.now() < end) {
    const name = await strike()
    struck[name] = (struck[name] ?? 0) + 1
  }
  clearInterval(sampling)
  return { heap, struck }
}

/** A fault, at random. @param {Stage} stage */
async function strike(stage) {
  await sleep(1_000 + stage.random() * 14_000)
  const names = Object.keys(FAULTS)
  const name = names[Math.floor(stage.random() * names.length)]
  stage.traffic.forgiven = Number.POSITIVE_INFINITY
  await FAULTS[name](stage)
  stage.traffic.forgiven = performance.now()
  return name
}

/** @param {Stage} stage @param {number} least @param {number} most ms */
async function freeze({ server, random }, least, most) {
  server.freeze()
  await sleep(least + random() * (most - least))
  server.thaw()
}

/** @param {Stage} stage @param {number} least @param {number} most ms */
async function kill({ server, traffic, random }, least, most) {
  await server.kill()
  traffic.emptied()
  await sleep(least + random() * (most - least))
  await server.launch()
}

/** @param {Traffic} traffic @param {Awaited<ReturnType<typeof torment>>} seen @param {string[]} handles */
function report({ counts, violations }, { heap, struck }, handles) {
  const settled = heap.slice(Math.floor(heap.length / 4))
  const slope = leastSquares(settled)
  const span = settled.length < 2 ? 0 : settled[settled.length - 1].at - settled[0].at
  const flat = Math.abs(slope * span) < FLAT
  const rows = [
    ['operations', number(counts.operations)],
    ['writes acknowledged', number(counts.acknowledged)],
    ['of these lost with a killed server', number(counts.lost)],
    ['values confirmed by reads', number(counts.confirmed)],
    ['logouts', number(counts.logouts)],
    ['operations refused in a fault', number(counts.refused)],
    ['longest operation, ms', number(counts.longest)],
    [
      'faults, or changes',
      Object.entries(struck)
        .map(([name, times]) => `${times} × ${name}`)
        .join(', '),
    ],
    ['heap at the end, MB', number((settled.at(-1)?.bytes ?? Number.NaN) / 1e6)],
    ['slope of the heap, kB per minute', `${number(slope / 1000)} (${flat ? 'flat' : 'NOT FLAT'})`],
    ['handles left', handles.length === 0 ? 'none' : handles.join(', ')],
    [
      'violations',
      violations.count === 0 ? 'none' : `${number(violations.count)}: ${violations.first.join('; ')} …`,
    ],
  ]
  const failed = violations.count > 0 || handles.length > 0 || !flat
  return { title, blocks: [table(['', ''], rows)], charts: {}, failed }
}

/** Bytes per minute. @param {{ at: number, bytes: number }[]} points */
function leastSquares(points) {
  const at = points.reduce((sum, point) => sum + point.at, 0) / points.length
  const bytes = points.reduce((sum, point) => sum + point.bytes, 0) / points.length
  const above = points.reduce((sum, point) => sum + (point.at - at) * (point.bytes - bytes), 0)
  return above / points.reduce((sum, point) => sum + (point.at - at) ** 2, 0)
}

/** What keeps this process alive, by kind. */
function census() {
  /** @type {Map<string, number>} */
  const counts = new Map()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

/** @param {Map<string, number>} before @returns {string[]} what there is more of now */
function left(before) {
  return [...census()]
    .filter(([kind, count]) => count > (before.get(kind) ?? 0))
    .map(([kind, count]) => `${count} ${kind}`)
}

/** The same numbers for the same seed (mulberry32). @param {number} seed @returns {() => number} 0 to 1 */
function generator(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
