// How do get, set and touch go with the size of a session and with what is in flight?

import { barChart } from './lib/chart.js'
import { median, quantile } from './lib/measure.js'
import { alternate, start, stop } from './lib/rounds.js'
import { bar, number, table } from './lib/table.js'

/** @typedef {import('./lib/measure.js').Measured} Measured */

export const title = 'Operations'

const ROUNDS = 5
const TASKS = ['get', 'set', 'touch']
const IN_FLIGHT = [1, 64, 512]
/** Of sessions, in bytes; and how many operations make a round. */
const SIZES = [
  { bytes: 361, operations: 4_096 },
  { bytes: 4_096, operations: 2_048 },
  { bytes: 65_536, operations: 512 },
]
const NAMES = [
  'limit',
  'ours',
  'connect-redis, no deadline',
  'connect-redis',
  'connect-memjs',
  'connect-memcached',
  'connect-mongo',
  'MemoryStore',
  'memorystore',
]

/** @param {import('./run.js').Context} context @returns {Promise<import('./run.js').Section>} */
export async function run({ servers }) {
  const blocks = [
    `Plain sessions, each contender in a process of its own; medians of ${ROUNDS} alternating rounds. CPU is in µs
per operation with 1, 64 and 512 in flight; latency is p50 / p99 / p99.9 in ms. MemoryStore and memorystore stay
in the process. connect-memjs has no touch; ours sends none while what is stored is fresh.`,
  ]
  /** @type {Record<string, string>} */
  const charts = {}
  for (const { bytes, operations } of SIZES) {
    // Anew for each size, so that no heap is left of the size before.
    const workers = await start('worker.js', NAMES, servers)
    try {
      await Promise.all(workers.map(worker => worker.run('prepare', { bytes, count: 512 })))
      for (const task of TASKS) {
        /** @type {Record<string, Measured[]>[]} */
        const cells = []
        for (const inFlight of IN_FLIGHT) {
          const options = { operations: inFlight === 1 ? operations / 4 : operations, inFlight, every: 3 }
          cells.push(await alternate(workers, ROUNDS, worker => worker.run(task, options)))
        }
        blocks.push(`### ${task}, ${number(bytes)} bytes`, report(cells))
        if (task === 'touch') continue
        const bars = Object.entries(cells[1]).map(([name, rounds]) =>
          bar(
            name,
            rounds.map(({ cpu }) => cpu),
          ),
        )
        charts[`operations-${task}-${bytes}`] = barChart(
          `${task} of ${number(bytes)} bytes, 64 in flight`,
          'µs of CPU per operation; less is better',
          bars,
        )
      }
    } finally {
      stop(workers)
    }
  }
  return { title, blocks, charts }
}

/** @param {Record<string, Measured[]>[]} cells by what is in flight, by contender */
function report(cells) {
  const rows = Object.keys(cells[0]).map(name => {
    const all = cells.map(cell => cell[name])
    return [
      name,
      ...all.map(rounds => number(median(rounds.map(({ cpu }) => cpu)))),
      ...all.map(rounds => {
        const latencies = rounds.flatMap(({ latencies }) => latencies)
        return [0.5, 0.99, 0.999].map(part => number(quantile(latencies, part))).join(' / ')
      }),
      `${all.flat().reduce((sum, { failed }) => sum + failed, 0)}`,
    ]
  })
  return table(
    ['', ...IN_FLIGHT.map(n => `CPU, ${n}`), ...IN_FLIGHT.map(n => `latency, ${n}`), 'failed'],
    rows,
  )
}
