// Does a million sessions cost more than a thousand, on one server and on three?

import { readFileSync } from 'node:fs'
import { barChart } from './lib/chart.js'
import { measure } from './lib/measure.js'
import { ask } from './lib/round-trips.js'
import { Server } from './lib/servers.js'
import { edit, newSession, newSid } from './lib/sessions.js'
import { bar, number, spread, table } from './lib/table.js'

export const title = 'Growth'

const BYTES = 361
const SIZES = [1_000, 100_000, 1_000_000]
const SERVERS = [1, 3]
const IN_FLIGHT = 64
const OPERATIONS = 20_480
const ROUNDS = 5

/** @returns {Promise<import('./run.js').Section>} */
export async function run() {
  const { MemcachedStore } = await import(new URL('dist/index.js', import.meta.url).href)
  const blocks = [
    `Sessions of ${BYTES} bytes, ${IN_FLIGHT} operations in flight on sessions picked at random; medians of ${ROUNDS} rounds. CPU is this
process's, per operation. Memory is memcached's, per session: what its items take by its own count, and what its
processes hold more than when they were empty. Listing is the time of the whole walk.`,
  ]
  const stores = (/** @type {Server[]} */ servers) =>
    new MemcachedStore({ servers: servers.map(({ port }) => `127.0.0.1:${port}`) })
  await onServers(1, stores, async store => {
    const sids = /** @type {string[]} */ ([])
    await fill(store, sids, OPERATIONS)
    await reads(store, sids)
    await writes(store, sids)
  })
  /** @type {string[][]} */
  const rows = []
  /** @type {import('./lib/chart.js').Bar[]} */
  const bars = []
  for (const count of SERVERS) {
    await onServers(count, stores, async (store, servers) => {
      const empty = resident(servers)
      const sids = /** @type {string[]} */ ([])
      for (const size of SIZES) {
        const created = await fill(store, sids, size)
        const { bytes, items } = await contents(servers)
        if (items !== size) throw new Error(`memcached holds ${items} sessions of ${size}`)
        const memory = (resident(servers) - empty) / items
        const gets = await reads(store, sids)
        const sets = await writes(store, sids)
        const walks = await listing(store, size)
        const label = `${number(size)} on ${count}`
        rows.push([
          label,
          number(created),
          spread(gets),
          spread(sets),
          number(bytes / items),
          number(memory),
          ...walks,
        ])
        bars.push(bar(label, gets))
      }
    })
  }
  const head = [
    'sessions on servers',
    'create, µs',
    'get, µs',
    'set, µs',
    'bytes',
    'resident',
    'length, ms',
    'ids, ms',
    'sessions, ms',
  ]
  blocks.push(table(head, rows))
  const chart = barChart('get, by sessions on servers', 'µs of CPU per operation; less is better', bars)
  return { title, blocks, charts: { growth: chart } }
}

/**
 * @param {number} count @param {(servers: Server[]) => any} open a store on them
 * @param {(store: any, servers: Server[]) => Promise<void>} use
 */
async function onServers(count, open, use) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => Server.start('memcached', '-m', '2048')),
  )
  const store = open(servers)
  try {
    await Promise.all(Array.from({ length: 100 }, () => store.get(newSid())))
    await use(store, servers)
  } finally {
    await store.close()
    await Promise.all(servers.map(server => server.stop()))
  }
}

/** CPU of reads of sessions picked at random, by round. @param {any} store @param {string[]} sids */
function reads(store, sids) {
  return rounds((_slot, done) => store.get(pick(sids), done))
}

/** @param {any} store @param {string[]} sids */
function writes(store, sids) {
  return rounds((slot, done) =>
    store.set(pick(sids), newer(slot), (/** @type {any} */ error) => done(error, true)),
  )
}

/** @param {Parameters<typeof measure>[0]} operation */
async function rounds(operation) {
  const cpu = []
  for (let round = 0; round < ROUNDS; round++) {
    const measured = await measure(operation, options(OPERATIONS))
    if (measured.failed + measured.empty > 0) throw new Error('Some operations failed or found nothing')
    cpu.push(measured.cpu)
  }
  return cpu
}

const pick = (/** @type {string[]} */ sids) => sids[Math.floor(Math.random() * sids.length)]

const options = (/** @type {number} */ operations) => ({ operations, inFlight: IN_FLIGHT })

/** One of a thousand sessions, changed: making a million different ones would cost more than storing them. */
const variants = Array.from({ length: 1000 }, (_, variant) => newSession(BYTES, variant))
let turn = 0
function newer(/** @type {number} */ variant) {
  const session = variants[variant % variants.length]
  edit(session, turn++)
  return session
}

/** Adds sessions until there are so many. @param {any} store @param {string[]} sids @param {number} size */
async function fill(store, sids, size) {
  const more = Array.from({ length: size - sids.length }, newSid)
  let next = 0
  const measured = await measure((_, done) => {
    const at = next++
    store.set(more[at], newer(at), done)
  }, options(more.length))
  if (measured.failed > 0) throw new Error(`${measured.failed} sessions were not stored`)
  for (const sid of more) sids.push(sid)
  return measured.cpu
}

/** ms of each walk over all sessions. @param {any} store @param {number} size */
async function listing(store, size) {
  const walks = {
    length: async () => store.length(),
    ids: async () => (await store.ids()).length,
    sessions: async () => {
      let count = 0
      for await (const _ of store.sessions()) count++
      return count
    },
  }
  const times = []
  for (const [name, walk] of Object.entries(walks)) {
    if (store[name] === undefined) {
      times.push('–')
      continue
    }
    const began = performance.now()
    const found = await walk()
    if (found !== size) throw new Error(`${name} found ${found} of ${size} sessions`)
    times.push(number(performance.now() - began))
  }
  return times
}

/** @param {Server[]} servers what they hold by their own count */
async function contents(servers) {
  let bytes = 0
  let items = 0
  for (const { port } of servers) {
    const stats = await ask(port, 'stats\r\n', 'END\r\n')
    bytes += Number(/STAT bytes (\d+)/.exec(stats)?.[1])
    items += Number(/STAT curr_items (\d+)/.exec(stats)?.[1])
  }
  return { bytes, items }
}

/** Bytes of memory that the servers' processes hold. @param {Server[]} servers */
function resident(servers) {
  return servers.reduce((sum, { process }) => {
    const status = readFileSync(`/proc/${process?.pid}/status`, 'utf8')
    return sum + Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
  }, 0)
}
