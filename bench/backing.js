// What does a durable store behind memcached cost, and what does it spare the database?

import connectPgSimple from 'connect-pg-simple'
import session from 'express-session'
import { measure, median, medianRatio, quantile } from './lib/measure.js'
import { startPostgres } from './lib/postgres.js'
import { number, table } from './lib/table.js'

// What `npm run bench` has just built.
const { MemcachedStore } = await import(new URL('dist/index.js', import.meta.url).href)

export const title = 'Backing'

const ROUNDS = 5
/** How many operations make a round of each task. */
const TASKS = { 'get (hit)': 4096, 'get (miss)': 256, save: 256, touch: 256 }
const IN_FLIGHT = 16
const DAY = 86_400_000

/** @typedef {'memcached alone' | 'PostgreSQL behind' | 'connect-pg-simple'} Name */
/** @type {Name[]} */
const NAMES = ['memcached alone', 'PostgreSQL behind', 'connect-pg-simple']

/** @param {import('./run.js').Context} context @returns {Promise<import('./run.js').Section>} */
export async function run({ servers }) {
  const postgres = await startPostgres()
  if (postgres === null || servers.memcached === undefined)
    return { title, blocks: ['Not measured: it takes PostgreSQL and memcached.'], charts: {} }
  const { pool } = postgres
  await pool.query(
    'CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)',
  )
  let queries = 0
  const counted = {
    query: (/** @type {any[]} */ ...args) => {
      queries++
      return pool.query(.../** @type {[any]} */ (args))
    },
  }
  const PgStore = connectPgSimple(session)
  const create = () => new PgStore({ pool: /** @type {any} */ (counted), pruneSessionInterval: false })
  const server = `127.0.0.1:${servers.memcached.port}`
  /** @type {Record<Name, any>} */
  const stores = {
    'memcached alone': new MemcachedStore({ servers: server, prefix: 'alone:', touchAfter: 0 }),
    'PostgreSQL behind': new MemcachedStore({
      servers: server,
      prefix: 'both:',
      touchAfter: 0,
      backing: create(),
    }),
    'connect-pg-simple': create(),
  }
  try {
    const blocks = [
      `Sessions of 361 bytes; ${IN_FLIGHT} in flight; all three in one process, medians of ${ROUNDS} alternating rounds.
CPU is this process's, in µs per operation, without the servers'; latency is p50 / p99 in ms. A miss is a session that memcached
does not have: alone it is lost, else it comes from PostgreSQL and goes into memcached. A touch is one that is due. PostgreSQL
flushes each commit to the disk.`,
    ]
    const rows = []
    for (const [task, operations] of /** @type {[keyof typeof TASKS, number][]} */ (Object.entries(TASKS))) {
      const rounds = await alternate(stores, task, operations)
      const alone = rounds['memcached alone'].map(({ cpu }) => cpu)
      for (const name of NAMES) {
        const cpu = rounds[name].map(round => round.cpu)
        const latencies = rounds[name].flatMap(round => round.latencies)
        rows.push([
          `${task}, ${name}`,
          number(median(cpu)),
          number(medianRatio(cpu, alone)),
          [0.5, 0.99].map(part => number(quantile(latencies, part))).join(' / '),
          `${rounds[name].reduce((sum, { failed }) => sum + failed, 0)}`,
        ])
      }
    }
    blocks.push(table(['', 'CPU', 'of memcached alone', 'latency', 'failed'], rows))
    blocks.push(await spared(server, create, () => queries))
    return { title, blocks, charts: {} }
  } finally {
    await stores['memcached alone'].close()
    await stores['PostgreSQL behind'].close()
    await postgres.stop()
  }
}

/** @param {Record<Name, any>} stores @param {keyof typeof TASKS} task @param {number} operations */
async function alternate(stores, task, operations) {
  /** @type {Record<Name, import('./lib/measure.js').Measured[]>} */
  const rounds = { 'memcached alone': [], 'PostgreSQL behind': [], 'connect-pg-simple': [] }
  for (let round = -1; round < ROUNDS; round++) {
    for (let i = 0; i < NAMES.length; i++) {
      const name = NAMES[(i + round + 1) % NAMES.length]
      const measured = await once(stores, name, task, operations)
      if (round >= 0) rounds[name].push(measured)
    }
  }
  return rounds
}

/** @param {Record<Name, any>} stores @param {Name} name @param {keyof typeof TASKS} task @param {number} operations */
async function once(stores, name, task, operations) {
  const store = stores[name]
  const mark = `${name}-${task}-${Math.random().toString(36).slice(2)}-`
  const sids = Array.from({ length: Math.min(operations, 512) }, (_, number) => mark + number)
  // What is only in the database is a miss to memcached.
  const first = task === 'get (miss)' ? stores['connect-pg-simple'] : store
  await all(sids, (sid, done) => first.set(sid, create(), done))
  /** @type {any[]} */
  const read = []
  if (task === 'save' || task === 'touch') {
    await all(sids, (sid, done) =>
      store.get(sid, (/** @type {any} */ error, /** @type {any} */ found) => {
        read.push([sid, Object.assign(found, task === 'save' ? { changed: true } : refresh(found))])
        done(error)
      }),
    )
  }
  let next = 0
  return measure(
    (_, done) => {
      const at = next++ % sids.length
      if (task === 'save') store.set(...read[at], done)
      else if (task === 'touch') store.touch(...read[at], done)
      else store.get(sids[at], done)
    },
    { operations, inFlight: IN_FLIGHT, every: 3 },
  )
}

/** How many queries the database gets of the same visits, with memcached before it and alone. */
async function spared(
  /** @type {string} */ server,
  /** @type {() => any} */ createPg,
  /** @type {() => number} */ count,
) {
  const visits = 2000
  const sids = Array.from({ length: 100 }, () => Math.random().toString(36).slice(2))
  const rows = []
  for (const name of ['PostgreSQL behind', 'connect-pg-simple']) {
    const pg = createPg()
    const store =
      name === 'PostgreSQL behind'
        ? new MemcachedStore({ servers: server, prefix: 'visits:', backing: pg })
        : pg
    await all(sids, (sid, done) => store.set(sid, create(), done))
    const before = count()
    for (let visit = 0; visit < visits; visit++) {
      const sid = sids[visit % sids.length]
      await new Promise((resolve, reject) => {
        store.get(sid, (/** @type {any} */ error, /** @type {any} */ found) => {
          if (error) return reject(error)
          const done = (/** @type {any} */ failure) => (failure ? reject(failure) : resolve(undefined))
          // As express-session does at the end of a request: a save where something changed, else a touch.
          if (visit % 10 === 0) store.set(sid, Object.assign(found, { visit }), done)
          else store.touch(sid, found, done)
        })
      })
    }
    rows.push([name, `${count() - before}`])
    if (store !== pg) await store.close()
  }
  return `Queries that the database gets of ${visits} requests, every tenth of which changes its session:

${table(['', 'queries'], rows)}`
}

/** @param {string[]} sids @param {(sid: string, done: (error?: unknown) => void) => void} start */
async function all(sids, start) {
  for (let at = 0; at < sids.length; at += IN_FLIGHT) {
    await Promise.all(
      sids.slice(at, at + IN_FLIGHT).map(
        sid =>
          new Promise((resolve, reject) => {
            start(sid, error => (error ? reject(error) : resolve(undefined)))
          }),
      ),
    )
  }
}

function create() {
  const cookie = new session.Cookie()
  cookie.maxAge = DAY
  return { cookie, user: { name: 'Ada', mail: 'ada@example.org' }, cart: [1, 2, 3], seen: 'x'.repeat(120) }
}

/** A later date, and the same life. @param {any} found */
function refresh(found) {
  return { cookie: { ...found.cookie, expires: new Date(Date.now() + DAY) } }
}
