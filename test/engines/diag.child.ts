/**
 * A master and a slave of yrmcds, each in a network namespace of its own, and traffic through a fail-over: the
 * master is lost, and a while later the slave has the address of the pair. Prints what it saw as JSON.
 *
 * Runs in namespaces that end with it, by `unshare`: it mounts, and makes devices.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MemcachedStore } from '../../lib/index.ts'
import { type Data, sessionOf } from '../contract/calls.ts'
import { type LiveSession, load, save } from '../overlap/live.ts'
import { until } from '../support/until.ts'

/** What the traffic came to. */
export interface Report {
  /** Changes that were answered, before the master was lost and in all. */
  readonly changesBefore: number
  readonly changes: number
  readonly lostChanges: readonly string[]
  /** Sessions that counted less than was answered, or more than was asked. */
  readonly wrongCounts: readonly string[]
  /** Logouts that were answered, before the master was lost and in all. */
  readonly logoutsBefore: number
  readonly logouts: number
  readonly undoneLogouts: readonly string[]
  /** What requests failed with. */
  readonly failures: readonly string[]
  /** Milliseconds without any answer. */
  readonly outage: number
}

const ADDRESS = '10.0.0.10'
/** As it is in the documentation: the address and the port are free in here. */
const CONFIGURATION = fileURLToPath(new URL('../../docs/servers/yrmcds.conf', import.meta.url))
/** Milliseconds from the loss of the master until the address has moved: two seconds are allowed. */
const MOVES_AFTER = 1200
/** Answered changes and logouts, before and after. */
const ENOUGH = 300
const ENOUGH_LOGOUTS = 10
const LIMIT = 40_000

const [how = ''] = process.argv.slice(2)

function ip(command: string): void {
  execFileSync('ip', command.split(' '))
}

function makeNetwork(): void {
  for (const folder of ['/run', '/var/tmp']) execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', folder])
  execFileSync('mkdir', ['/run/netns', '/var/tmp/yrmcds'])
  ip('link set lo up')
  ip('link add bridge type bridge')
  ip('link set bridge up')
  ip('address add 10.0.0.1/24 dev bridge')
  for (const [index, name] of ['one', 'other'].entries()) {
    ip(`netns add ${name}`)
    ip(`link add to-${name} type veth peer name eth0 netns ${name}`)
    ip(`link set to-${name} master bridge up`)
    ip(`-n ${name} link set lo up`)
    ip(`-n ${name} link set eth0 up`)
    ip(`-n ${name} address add 10.0.0.${index + 2}/24 dev eth0`)
  }
}

/** `stats` of whoever has the address. */
function statistics(): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    const socket = connect(11211, ADDRESS, () => socket.write('stats\r\n'))
    socket.setTimeout(200, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.on('data', chunk => {
      text += chunk
      if (text.endsWith('END\r\n')) socket.destroy()
    })
  })
}

function startYrmcds(name: string): ChildProcess {
  return spawn('ip', ['netns', 'exec', name, 'yrmcdsd', '-f', CONFIGURATION], { stdio: 'ignore' })
}

makeNetwork()
ip(`-n one address add ${ADDRESS}/24 dev eth0`)
const master = startYrmcds('one')
await until(statistics)
const slave = startYrmcds('other')
await until(async () => /STAT slaves 1\r/.test(await statistics()))

process.env.MEMCACHED_SERVERS = ADDRESS
// As two processes.
const stores = [new MemcachedStore(), new MemcachedStore()]
const storeOf = (turn: number): MemcachedStore => stores[turn % stores.length] as MemcachedStore
const [first] = stores as [MemcachedStore]

const sids = Array.from({ length: 20 }, (_, index) => `visitor-${index}`)
const changes: { sid: string; key: string }[] = []
const counted = new Map(sids.map(sid => [sid, { answered: 0, asked: 0 }]))
const loggedOut: string[] = []
const failures: string[] = []
let lastAnswer = 0
let outage = 0
let isOver = false

async function note(what: () => Promise<void>): Promise<void> {
  try {
    await what()
  } catch (error) {
    failures.push((error as { code?: string }).code ?? String(error))
    return
  }
  const now = performance.now()
  if (lastAnswer > 0) outage = Math.max(outage, now - lastAnswer)
  lastAnswer = now
}

/** A request that changes a key of its own. */
async function change(store: MemcachedStore, sid: string): Promise<void> {
  const key = `key-${randomUUID()}`
  const live = await load(store, sid)
  live[key] = true
  await save(live)
  changes.push({ sid, key, at: performance.now(), st: stores.indexOf(store) } as never)
  all.push([stores.indexOf(store), performance.now()])
}

const all: number[][] = []
let t0 = 0
async function count(store: MemcachedStore, sid: string): Promise<void> {
  const counts = counted.get(sid) as { answered: number; asked: number }
  counts.asked++
  await store.update(sid, session =>
    Object.assign(session, { count: ((session as Data).count as number) + 1 }),
  )
  counts.answered++
  all.push([stores.indexOf(store), performance.now()])
}

/** A visitor comes and goes, while a slow request, which began before, saves afterwards, and once more at the end. */
const slow: { sid: string; live: LiveSession }[] = []
async function logOut(store: MemcachedStore, other: MemcachedStore): Promise<void> {
  const sid = `guest-${randomUUID()}`
  await store.set(sid, sessionOf({ user: 'Ada' }))
  const live = await load(other, sid)
  slow.push({ sid, live })
  await store.destroy(sid)
  loggedOut.push(sid)
  await saveLate(live)
}

async function saveLate(live: LiveSession): Promise<void> {
  live.late = randomUUID()
  await save(live)
}

async function visitor(number: number): Promise<void> {
  for (let turn = 0; !isOver; turn++) {
    const store = storeOf(turn + number)
    const sid = sids[(turn * 7 + number) % sids.length] as string
    await note(() => {
      if (turn % 10 === 9) return logOut(store, storeOf(turn + number + 1))
      return turn % 2 === 0 ? change(store, sid) : count(store, sid)
    })
    await sleep(5)
  }
}

await Promise.all(sids.map(sid => first.set(sid, sessionOf({ count: 0 }))))
const traffic = Promise.all(Array.from({ length: 8 }, (_, number) => visitor(number)))
await until(() => changes.length >= ENOUGH && loggedOut.length >= ENOUGH_LOGOUTS, LIMIT)

const changesBefore = changes.length
const logoutsBefore = loggedOut.length
t0 = performance.now()
if (how === 'killed') master.kill('SIGKILL')
else ip('link set to-one down')
await sleep(MOVES_AFTER)
if (how === 'killed') ip(`-n one address del ${ADDRESS}/24 dev eth0`)
ip(`-n other address add ${ADDRESS}/24 dev eth0`)
// As keepalived tells everybody.
ip(`neighbour flush to ${ADDRESS}`)

await until(
  () => changes.length >= changesBefore + ENOUGH && loggedOut.length >= logoutsBefore + ENOUGH_LOGOUTS,
  LIMIT,
)
isOver = true
await traffic
for (const { live } of slow) await saveLate(live)

const found = (await first.getMany([...sids, ...loggedOut])) as Map<string, Data>
const report: Report = {
  changesBefore,
  changes: changes.length,
  lostChanges: changes.filter(({ sid, key }) => found.get(sid)?.[key] !== true).map(({ key }) => key),
  wrongCounts: [...counted]
    .map(([sid, { answered, asked }]) => ({ has: Number(found.get(sid)?.count), answered, asked }))
    .filter(({ has, answered, asked }) => !(has >= answered && has <= asked))
    .map(({ has, answered, asked }) => `${has}, answered ${answered}, asked ${asked}`),
  logoutsBefore,
  logouts: loggedOut.length,
  undoneLogouts: loggedOut.filter(sid => found.has(sid)),
  failures,
  outage,
  lostAt: changes
    .filter(({ sid, key }) => found.get(sid)?.[key] !== true)
    .map(c => [(c as never as { at: number }).at - t0, (c as never as { st: number }).st]),
  all: all
    .map(([a, b]) => [a, (b as number) - t0])
    .filter(([, b]) => (b as number) < 100 && (b as number) > -60),
} as Report
await Promise.all(stores.map(store => store.close()))
master.kill('SIGKILL')
slave.kill('SIGKILL')
process.stdout.write(JSON.stringify(report))
