// How many overlapping updates are kept, how many logouts undone?

import { setTimeout as sleep } from 'node:timers/promises'
import { contenders } from './contenders.js'
import { barChart } from './lib/chart.js'
import { Child } from './lib/child.js'
import { login, visit } from './lib/requests.js'
import { start, stop } from './lib/rounds.js'
import { table } from './lib/table.js'

export const title = 'Overlap'

const ROUNDS = 20
const REQUESTS = 50
const LOGOUTS = 20
/** ms to the server and back, and rounds at each. */
const DISTANCES = [0, 5, 20, 40]
const FAR_ROUNDS = 5
const NAMES = [
  'ours',
  'MemoryStore',
  'memorystore',
  'connect-redis',
  'connect-memjs',
  'connect-memcached',
  'connect-mongo',
]

/** @param {import('./run.js').Context} context @returns {Promise<import('./run.js').Section>} */
export async function run({ servers }) {
  const apps = await start('app.js', NAMES, servers)
  try {
    const rows = []
    const bars = []
    for (const app of apps) {
      let kept = 0
      for (let round = 0; round < ROUNDS; round++) kept += await updates(app)
      let undone = 0
      for (let round = 0; round < LOGOUTS; round++) undone += (await logout(app)) ? 1 : 0
      rows.push([app.name, `${kept} of ${ROUNDS * REQUESTS}`, `${undone} of ${LOGOUTS}`])
      bars.push({ label: app.name, value: kept })
    }
    const blocks = [
      `${REQUESTS} requests of one visitor overlap: all have read the session before the first changes it, and each sets one key of
its own, ${ROUNDS} rounds. Then a slow request that had read the session changes it after the visitor logged out, ${LOGOUTS} times.
An Express app, the usual options (\`resave: false\`, \`saveUninitialized: false\`).`,
      table(['', 'updates kept', 'logouts undone'], rows),
      `The same updates with the server further away: through a proxy that delays each direction by half of a
round trip. Kept of ${FAR_ROUNDS * REQUESTS}; in brackets, requests that failed (most of them after the visitor had an answer).`,
      table(['', ...DISTANCES.map(ms => `${ms} ms`)], await farAway(servers)),
    ]
    const charts = {
      overlap: barChart(
        'Overlapping updates that were kept',
        `of ${ROUNDS * REQUESTS}; more is better`,
        bars,
      ),
    }
    return { title, blocks, charts }
  } finally {
    stop(apps)
  }
}

/** @param {import('./lib/servers.js').Servers} servers @returns {Promise<string[][]>} a row for each that has a server */
async function farAway(servers) {
  const proxies = await Promise.all(
    Object.values(servers).map(({ kind, port }) => Child.start(kind, 'proxy.js', [`${port}`])),
  )
  const near = Object.fromEntries(proxies.map(({ name, greeting }) => [name, { port: greeting }]))
  const names = NAMES.filter(name => contenders[name]?.server !== null)
  const apps = await start('app.js', names, near)
  try {
    const rows = apps.map(({ name }) => [name])
    for (const ms of DISTANCES) {
      for (const proxy of proxies) await proxy.run('roundTrip', { ms })
      for (const [index, app] of apps.entries()) {
        let kept = 0
        for (let round = 0; round < FAR_ROUNDS; round++) kept += await updates(app)
        const failed = await app.run('failed')
        rows[index]?.push(failed === 0 ? `${kept}` : `${kept} (${failed})`)
      }
    }
    return rows
  } finally {
    stop([...apps, ...proxies])
  }
}

/** @param {Child} app @returns {Promise<number>} how many of the keys are there in the end */
async function updates(app) {
  const cookie = await login(app.greeting)
  const keys = Array.from({ length: REQUESTS }, (_, index) => `key${index}`)
  const answers = keys.map(key => visit(app.greeting, `/hold/${key}`, cookie))
  await held(app, REQUESTS)
  await app.run('release')
  await Promise.allSettled(answers)
  const found = new Set(JSON.parse((await visit(app.greeting, '/keys', cookie)).body))
  return keys.filter(key => found.has(key)).length
}

/** @param {Child} app @returns {Promise<boolean>} whether the visitor is logged in again */
async function logout(app) {
  const cookie = await login(app.greeting)
  const slow = visit(app.greeting, '/hold/late', cookie)
  await held(app, 1)
  await allOk([visit(app.greeting, '/logout', cookie)])
  await app.run('release')
  await allOk([slow])
  return (await visit(app.greeting, '/read', cookie)).body === 'in'
}

/** Waits until so many requests have read their session. @param {Child} app @param {number} count */
async function held(app, count) {
  for (let tries = 0; (await app.run('held')) < count; tries++) {
    if (tries > 1000) throw new Error(`${app.name}: requests did not arrive`)
    await sleep(2)
  }
}

/** @param {Promise<import('./lib/requests.js').Answer>[]} answers */
async function allOk(answers) {
  for (const { status } of await Promise.all(answers)) {
    if (status !== 200) throw new Error(`A request was answered with ${status}`)
  }
}
