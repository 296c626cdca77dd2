// What does one store call cost this process, against its peers and against the limit?

import { barChart } from './lib/chart.js'
import { median, medianRatio, quantile } from './lib/measure.js'
import { alternate, start, stop } from './lib/rounds.js'
import { bar, number, spread, table, targets } from './lib/table.js'

/** @typedef {import('./lib/measure.js').Measured} Measured */
/** @typedef {import('./lib/child.js').Child} Child */

export const title = 'The wire'

const BYTES = 361
const ROUNDS = 9
const OPTIONS = { operations: 20_480, inFlight: 64 }
const TEXT = 'ours, text'
const REDIS = 'connect-redis, no deadline'
const NAMES = ['limit', 'ours', TEXT, REDIS, 'connect-redis', 'memjs', 'connect-memcached']

/** @type {Record<string, string>} */
const TASKS = {
  get: '`store.get`',
  save: '`store.set` of a session that was read, made live by `createSession` and changed',
  set: '`store.set` of a plain object that the store has not read',
}

/** @param {import('./run.js').Context} context @returns {Promise<import('./run.js').Section>} */
export async function run({ servers }) {
  const workers = await start('worker.js', NAMES, servers)
  try {
    await Promise.all(workers.map(worker => worker.run('prepare', { bytes: BYTES, count: 256 })))
    /** @type {Record<string, Record<string, Measured[]>>} */
    const results = {}
    for (const task of Object.keys(TASKS)) {
      results[task] = await alternate(workers, ROUNDS, worker => worker.run(task, OPTIONS))
    }
    const ours = /** @type {Child} */ (workers.find(worker => worker.name === 'ours'))
    return report(results, await conditional(ours), await getMany(ours))
  } finally {
    stop(workers)
  }
}

/** CPU of conditional saves over that of unconditional ones of the same kind of object. @param {Child} ours */
async function conditional(ours) {
  const ratios = []
  for (let round = 0; round < ROUNDS; round++) {
    /** @type {Record<string, number>} */
    const cpu = {}
    for (const task of round % 2 === 0 ? ['save', 'saveUnread'] : ['saveUnread', 'save']) {
      cpu[task] = (await ours.run(task, OPTIONS)).cpu
    }
    ratios.push(cpu.save / cpu.saveUnread)
  }
  return median(ratios)
}

/** How many times faster 100 sessions are read in one call. @param {Child} ours */
async function getMany(ours) {
  const ratios = []
  for (let round = 0; round < ROUNDS; round++) {
    const { oneByOne, atOnce } = await ours.run('getMany', { operations: 20 })
    ratios.push(oneByOne / atOnce)
  }
  return median(ratios)
}

/** @param {Record<string, Record<string, Measured[]>>} results @param {number} conditional @param {number} many */
function report(results, conditional, many) {
  const cpu = (/** @type {string} */ task, /** @type {string} */ name) =>
    results[task][name].map(({ cpu }) => cpu)
  const ratio = (/** @type {string} */ task, /** @type {string} */ name) =>
    results[task][name] === undefined ? Number.NaN : medianRatio(cpu(task, 'ours'), cpu(task, name))
  const blocks = [
    `A session of ${BYTES} bytes, 64 in flight, each contender in a process of its own; the medians of ${ROUNDS}
alternating rounds of ${number(OPTIONS.operations)} operations, and in brackets the least and the most.
"Of the limit" is the median of the ratios of each round.`,
  ]
  /** @type {Record<string, string>} */
  const charts = {}
  for (const [task, what] of Object.entries(TASKS)) {
    const rows = Object.entries(results[task]).map(([name, rounds]) => [
      name,
      spread(cpu(task, name)),
      medianRatio(cpu(task, name), cpu(task, 'limit')).toFixed(2),
      number(median(rounds.map(({ perSecond }) => perSecond))),
      number(
        quantile(
          rounds.flatMap(({ latencies }) => latencies),
          0.5,
        ),
      ),
      number(
        quantile(
          rounds.flatMap(({ latencies }) => latencies),
          0.99,
        ),
      ),
    ])
    blocks.push(
      `### ${what}`,
      table(['', 'CPU, µs', 'of the limit', 'per second', 'p50, ms', 'p99, ms'], rows),
    )
    const bars = Object.keys(results[task]).map(name => bar(name, cpu(task, name)))
    charts[`wire-${task}`] = barChart(
      what.replaceAll('`', ''),
      'µs of CPU per operation; less is better',
      bars,
    )
  }
  const ofBinary = (/** @type {string} */ task) => medianRatio(cpu(task, TEXT), cpu(task, 'ours'))
  const wanted = [
    { what: 'get over text, of binary', measured: ofBinary('get'), atMost: 1.1 },
    { what: 'set after read over text, of binary', measured: ofBinary('save'), atMost: 1.1 },
    { what: 'get, of the limit', measured: ratio('get', 'limit'), atMost: 1.3 },
    { what: 'set after read, of the limit', measured: ratio('save', 'limit'), atMost: 1.3 },
    { what: 'set plain, of the limit', measured: ratio('set', 'limit'), atMost: 1.3 },
    { what: 'get, of stock memjs', measured: ratio('get', 'memjs'), atMost: 0.4 },
    { what: 'set after read, of stock memjs', measured: ratio('save', 'memjs'), atMost: 0.4 },
    { what: 'set plain, of stock memjs', measured: ratio('set', 'memjs'), atMost: 0.4 },
    { what: 'get, of connect-redis without deadline', measured: ratio('get', REDIS), atMost: 1.05 },
    { what: 'set after read, of the same', measured: ratio('save', REDIS), atMost: 0.95 },
    { what: 'set plain, of the same', measured: ratio('set', REDIS), atMost: 0.95 },
    { what: 'conditional set, of an unconditional one', measured: conditional, atMost: 1.05 },
    { what: 'getMany of 100, times faster than 100 gets', measured: many, atLeast: 10 },
  ]
  blocks.push('### What was aimed at', targets(wanted))
  return { title, blocks, charts }
}
