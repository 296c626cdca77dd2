// Is every acknowledged write still there after a long time of faults, is every logout final, is no
// handle left, and is memory flat?

import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
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
export async function run({ minutes, seed }) {
  const { MemcachedStore } = await import(new URL('dist/index.js', import.meta.url).href)
  console.log(
    `${minutes} minutes, seed ${seed} (to repeat: npm run soak -- --minutes ${minutes} --seed ${seed})\n`,
  )
  const random = generator(seed)
  const server = await Server.start('memcached', '-m', '512')
  const proxy = await Child.start('proxy', 'proxy.js', [`${server.port}`])
  const handles = census()
  try {
    const store = new MemcachedStore({ servers: `127.0.0.1:${proxy.greeting}` })
    const traffic = new Traffic(store, generator(seed + 1))
    const heap = await torment({ server, proxy, traffic, random }, minutes * 60_000)
    await sleep(8_000)
    await traffic.stop()
    await traffic.audit()
    await store.close()
    await sleep(100)
    return report(traffic, heap, left(handles))
  } finally {
    proxy.stop()
    await server.stop()
  }
}

/** Faults at random, until the time is over. @param {Stage} stage @param {number} duration ms */
async function torment(stage, duration) {
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
    await sleep(1_000 + stage.random() * 14_000)
    const names = Object.keys(FAULTS)
    const name = names[Math.floor(stage.random() * names.length)]
    stage.traffic.forgiven = Number.POSITIVE_INFINITY
    await FAULTS[name](stage)
    stage.traffic.forgiven = performance.now()
    struck[name] = (struck[name] ?? 0) + 1
  }
  clearInterval(sampling)
  return { heap, struck }
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
      'faults',
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
