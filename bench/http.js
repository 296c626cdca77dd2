// What does a session cost an Express app under load?

import { barChart } from './lib/chart.js'
import { Child } from './lib/child.js'
import { median, medianRatio } from './lib/measure.js'
import { login } from './lib/requests.js'
import { commands } from './lib/round-trips.js'
import { alternate, start, stop } from './lib/rounds.js'
import { bar, number, quartiles, table, targets } from './lib/table.js'

export const title = 'HTTP'

const ROUNDS = 15
const LOAD = { connections: 32, seconds: 0.8 }
const SESSIONS = 200
const MODES = { 'read-only': 0, write: 1, 'mixed, one in five writes': 0.2 }
/** Stores of other packages that keep sessions on a server. */
const PEERS = [
  'connect-redis, no deadline',
  'connect-redis',
  'connect-memjs',
  'connect-memcached',
  'connect-mongo',
]
const NAMES = ['none', 'MemoryStore', 'memorystore', 'limit', 'ours', ...PEERS]

/**
 * @typedef {object} Round
 * @property {number} cpu µs of the app's process per request
 * @property {number} perSecond requests
 * @property {number} p99 ms
 * @property {number} failed
 * @property {number} roundTrips commands that reached the server, per request
 */

/** @param {import('./run.js').Context} context @returns {Promise<import('./run.js').Section>} */
export async function run({ servers }) {
  const apps = await start('app.js', NAMES, servers)
  const load = await Child.start('load', 'load.js')
  try {
    const cookies = new Map()
    for (const app of apps) cookies.set(app, await logins(app))
    const blocks = [
      `An Express app under constant load from a second process: ${LOAD.connections} connections, ${SESSIONS} sessions
of 361 bytes; medians (and quartiles) of ${ROUNDS} alternating rounds of ${LOAD.seconds} s. "limit" is a bare socket as the
store, with nothing that a store has to do. "Session" is the CPU of the app's process per
request over the same app without sessions, in the same round. Round trips are the commands that the server counted.`,
    ]
    /** @type {Record<string, string>} */
    const charts = {}
    /** @type {Record<string, Record<string, Round[]>>} */
    const results = {}
    for (const [mode, writes] of Object.entries(MODES)) {
      const measure = (/** @type {Child} */ app) =>
        oneRound(app, load, servers, { ...LOAD, writes, port: app.greeting, cookies: cookies.get(app) })
      results[mode] = await alternate(apps, ROUNDS, measure)
      blocks.push(`### ${mode}`, report(results[mode]))
      const bars = Object.keys(results[mode]).filter(name => name !== 'none')
      charts[`http-${mode.split(',')[0]}`] = barChart(
        `HTTP, ${mode}`,
        'µs of CPU that the session adds to a request; less is better',
        bars.map(name => bar(name, added(results[mode], name))),
      )
    }
    blocks.push('### What was aimed at', targets(wanted(results)))
    return { title, blocks, charts }
  } finally {
    stop([...apps, load])
  }
}

/** @param {Child} app @returns {Promise<string[]>} */
async function logins(app) {
  const cookies = []
  for (let i = 0; i < SESSIONS; i++) cookies.push(await login(app.greeting))
  return cookies
}

/**
 * @param {Child} app @param {Child} load @param {import('./lib/servers.js').Servers} servers
 * @param {import('./lib/load.js').Load} options @returns {Promise<Round>}
 */
async function oneRound(app, load, servers, options) {
  const sent = await commands(app.name, servers)
  const before = await app.run('cpu')
  const { requests, perSecond, p99, failed } = await load.run('run', options)
  const after = await app.run('cpu')
  const roundTrips = ((await commands(app.name, servers)) - sent) / requests
  const cpu = (after.user + after.system - before.user - before.system) / requests
  return { cpu, perSecond, p99, failed, roundTrips }
}

/** What the session adds to the CPU of a request, round by round. @param {Record<string, Round[]>} results @param {string} name */
function added(results, name) {
  return results[name].map(({ cpu }, round) => cpu - results.none[round].cpu)
}

/** @param {Record<string, Round[]>} results */
function report(results) {
  const rows = Object.entries(results).map(([name, rounds]) => [
    name,
    number(median(rounds.map(({ perSecond }) => perSecond))),
    quartiles(rounds.map(({ cpu }) => cpu)),
    name === 'none' ? '' : quartiles(added(results, name)),
    number(median(rounds.map(({ p99 }) => p99))),
    number(median(rounds.map(({ roundTrips }) => roundTrips))),
    `${rounds.reduce((sum, { failed }) => sum + failed, 0)}`,
  ])
  return table(['', 'per second', 'CPU, µs', 'session, µs', 'p99, ms', 'round trips', 'failed'], rows)
}

/** @param {Record<string, Record<string, Round[]>>} results @returns {import('./lib/table.js').Target[]} */
function wanted(results) {
  /** Ours over another's, of what the session adds to a request. */
  const cost = (/** @type {string} */ mode, /** @type {string} */ other) =>
    medianRatio(added(results[mode], 'ours'), added(results[mode], other))
  const speed = medianRatio(
    results.write.ours.map(({ perSecond }) => perSecond),
    results.write.MemoryStore.map(({ perSecond }) => perSecond),
  )
  const networked = PEERS.filter(name => results.write[name] !== undefined)
  return [
    {
      what: "read-only, session's CPU, of MemoryStore's",
      measured: cost('read-only', 'MemoryStore'),
      atMost: 1,
    },
    {
      what: 'read-only, round trips',
      measured: median(results['read-only'].ours.map(({ roundTrips }) => roundTrips)),
      atMost: 1,
    },
    { what: "write, session's CPU, of MemoryStore's", measured: cost('write', 'MemoryStore'), atMost: 1.1 },
    { what: "write, requests per second, of MemoryStore's", measured: speed, atLeast: 0.9 },
    ...Object.keys(MODES).map(mode => ({
      what: `${mode}, session's CPU, of the limit's`,
      measured: cost(mode, 'limit'),
      atMost: 1.1,
    })),
    ...Object.keys(MODES).map(mode => ({
      what: `${mode}, session's CPU, of the best networked peer's`,
      measured: Math.max(...networked.map(name => cost(mode, name))),
      atMost: 1,
    })),
  ]
}
