// How long does a visitor wait while the server is stopped, killed or restarted?

import { setTimeout as sleep } from 'node:timers/promises'
import { contenders } from './contenders.js'
import { barChart } from './lib/chart.js'
import { Child } from './lib/child.js'
import { login, visit } from './lib/requests.js'
import { present } from './lib/rounds.js'
import { Server } from './lib/servers.js'
import { number, table } from './lib/table.js'

export const title = 'Faults'

const NAMES = [
  'ours',
  'connect-redis',
  'connect-redis, no deadline',
  'connect-memjs',
  'connect-memcached',
  'connect-mongo',
]
const VISITORS = 20
const PER_SECOND = 50
/** ms: how long all is well, how long the fault lasts, how long is watched for what comes back. */
const BEFORE = 1_000
const FAULT = 10_000
const AFTER = 8_000
/** ms after which a request that has no answer is called hung. */
const WATCH = 20_000

/** @type {Record<string, { strike: (server: Server) => unknown, heal: (server: Server) => unknown }>} */
const FAULTS = {
  'Stopped (SIGSTOP), resumed 10 s later': {
    strike: server => server.freeze(),
    heal: server => server.thaw(),
  },
  'Killed, and started again 10 s later': {
    strike: server => server.kill(),
    heal: server => server.launch(),
  },
  'Restarted at once': {
    async strike(server) {
      await server.kill()
      await server.launch()
    },
    heal() {},
  },
}

/** @typedef {{ sent: number, took: number, status: number }} Visit ms since the start; status 0 is hung, 1 a broken connection */

/** @param {import('./run.js').Context} context @returns {Promise<import('./run.js').Section>} */
export async function run({ servers }) {
  const names = present(NAMES, servers)
  const blocks = [
    `An Express app with each store and a server of its own, ${PER_SECOND} requests per second of ${VISITORS} visitors, every other one
changes the session. A request without an answer after ${WATCH / 1000} s is hung. "Well again" is from the mending of the server
to the first request after which none failed or took over a second. All stores at the same time.`,
  ]
  /** @type {Record<string, string>} */
  const charts = {}
  for (const [index, [fault, { strike, heal }]] of Object.entries(FAULTS).entries()) {
    const found = await Promise.all(names.map(name => watch(name, strike, heal)))
    blocks.push(
      `### ${fault}`,
      table(['', 'requests', 'failed', 'hung', 'longest wait, s', 'well again, s'], found.map(report)),
    )
    const bars = found.map(({ name, visits }) => ({ label: name, value: longest(visits) }))
    charts[`faults-${index + 1}`] = barChart(
      fault,
      `longest wait of a visitor, s; ${WATCH / 1000} is hung`,
      bars,
    )
  }
  return { title, blocks, charts }
}

/**
 * @param {string} name @param {(server: Server) => unknown} strike @param {(server: Server) => unknown} heal
 */
async function watch(name, strike, heal) {
  const kind = /** @type {import('./lib/servers.js').Kind} */ (contenders[name].server)
  const server = await Server.start(kind)
  // What peers print of a fault is not of interest here.
  const app = await Child.start(name, 'app.js', [name, `${server.port}`], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  try {
    const cookies = await Promise.all(Array.from({ length: VISITORS }, () => login(app.greeting)))
    const began = performance.now()
    const events = (async () => {
      await sleep(BEFORE)
      await strike(server)
      await sleep(FAULT)
      await heal(server)
      return performance.now() - began
    })()
    /** @type {Promise<Visit>[]} */
    const visits = []
    while (performance.now() - began < BEFORE + FAULT + AFTER) {
      const path = visits.length % 2 === 0 ? '/read' : '/write'
      visits.push(oneVisit(app.greeting, path, cookies[visits.length % VISITORS], began))
      await sleep(Math.max(0, began + (visits.length * 1000) / PER_SECOND - performance.now()))
    }
    const settled = await Promise.all(visits)
    return { name, healed: await events, visits: settled, died: app.process.exitCode !== null }
  } finally {
    app.stop()
    await server.stop()
  }
}

/** @param {number} port @param {string} path @param {string} cookie @param {number} began @returns {Promise<Visit>} */
async function oneVisit(port, path, cookie, began) {
  const sent = performance.now() - began
  const took = () => performance.now() - began - sent
  try {
    const { status } = await visit(port, path, cookie, AbortSignal.timeout(WATCH))
    return { sent, took: took(), status }
  } catch {
    return { sent, took: took(), status: took() >= WATCH - 50 ? 0 : 1 }
  }
}

/** @param {Visit[]} visits in seconds */
const longest = visits => Math.max(...visits.map(({ took }) => took)) / 1000

/** @param {Awaited<ReturnType<typeof watch>>} watched */
function report({ name, healed, visits, died }) {
  const hung = visits.filter(({ status }) => status === 0).length
  const failed = visits.filter(({ status }) => status !== 0 && status !== 200).length
  const bad = visits.findLastIndex(({ took, status }) => status !== 200 || took > 1_000)
  const well = visits[bad + 1]
  return [
    died ? `${name} (its process ended)` : name,
    `${visits.length}`,
    `${failed}`,
    `${hung}`,
    hung > 0 ? `> ${WATCH / 1000}` : number(longest(visits)),
    well === undefined ? 'not seen' : number(Math.max(0, well.sent - healed) / 1000),
  ]
}
