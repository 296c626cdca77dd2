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

/**
 * What the traffic came to. yrmcds answers a write before it copies it: what is answered in the instant before the
 * master is lost may be lost with it. A connection's writes are carried out one after the other, so what precedes a
 * later answer over the same connection has been copied: that is what is "kept" here.
 */
export interface Report {
  readonly before: Counts
  readonly after: Counts
  /** Answered in the last instant before: not promised. Those of them that are gone. */
  readonly atRisk: number
  readonly goneAtRisk: number
  readonly lostChanges: readonly string[]
  /** Sessions that counted less than was answered, or more than was asked. */
  readonly wrongCounts: readonly string[]
  readonly undoneLogouts: readonly string[]
  /** What requests failed with. */
  readonly failures: readonly string[]
  /** Milliseconds without any answer. */
  readonly outage: number
}

interface Counts {
  readonly changes: number
  readonly logouts: number
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
// As two processes would.
const stores = [new MemcachedStore(), new MemcachedStore()]
const storeOf = (turn: number): MemcachedStore => stores[turn % stores.length] as MemcachedStore
/** For what is no traffic. */
const patient = new MemcachedStore({ timeout: 20_000 })

/** Something that was answered. */
interface Answer {
  readonly kind: 'change' | 'count' | 'logout'
  readonly store: MemcachedStore
  readonly sid: string
  readonly key: string
  /** Times of `performance.now()`. */
  readonly began: number
  readonly ended: number
}

const sids = Array.from({ length: 20 }, (_, index) => `visitor-${index}`)
const answers: Answer[] = []
const asked = new Map<string, number>()
/** Requests that hold a session of which a logout is on its way. */
const slow: LiveSession[] = []
/** Sessions that are gone by themselves. */
const missing = new Set<string>()
const failures: string[] = []
let isOver = false

/** One change by one request, which is noted once it is answered. */
async function ask(
  kind: Answer['kind'],
  store: MemcachedStore,
  sid: string,
  what: (key: string) => Promise<unknown>,
): Promise<void> {
  const began = performance.now()
  const key = `key-${randomUUID()}`
  await what(key)
  answers.push({ kind, store, sid, key, began, ended: performance.now() })
}

function change(store: MemcachedStore, sid: string): Promise<void> {
  return ask('change', store, sid, async key => {
    if ((await store.get(sid)) === null) return fail(sid)
    const live = await load(store, sid)
    live[key] = true
    await save(live)
  })
}

function count(store: MemcachedStore, sid: string): Promise<void> {
  asked.set(sid, (asked.get(sid) ?? 0) + 1)
  return ask('count', store, sid, async () => {
    const increment = (session: Data): Data =>
      Object.assign(session, { count: (session.count as number) + 1 })
    if ((await store.update(sid, session => increment(session as Data))) === null) fail(sid)
  })
}

function fail(sid: string): never {
  missing.add(sid)
  throw new Error(`${sid} is gone`)
}

/** A visitor comes and goes, while a slow request, which began before, saves afterwards, and once more at the end. */
async function logOut(store: MemcachedStore, other: MemcachedStore): Promise<void> {
  const sid = `guest-${randomUUID()}`
  await store.set(sid, sessionOf({ user: 'Ada' }))
  const live = await load(other, sid)
  slow.push(live)
  await ask('logout', store, sid, () => store.destroy(sid))
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
    const request =
      turn % 10 === 9
        ? logOut(store, storeOf(turn + number + 1))
        : turn % 2 === 0
          ? change(store, sid)
          : count(store, sid)
    await request.catch(error => failures.push(error.code ?? String(error)))
    await sleep(5)
  }
}

function counts(some: readonly Answer[] = answers): Counts {
  const logouts = some.filter(({ kind }) => kind === 'logout').length
  return { changes: some.length - logouts, logouts }
}

async function enough(since: Counts = { changes: 0, logouts: 0 }): Promise<void> {
  await until(() => {
    const { changes, logouts } = counts()
    const isEnough = changes >= since.changes + ENOUGH && logouts >= since.logouts + ENOUGH_LOGOUTS
    return isEnough || missing.size > 0
  }, LIMIT)
}

await Promise.all(sids.map(sid => patient.set(sid, sessionOf({ count: 0 }))))
const traffic = Promise.all(Array.from({ length: 8 }, (_, number) => visitor(number)))
await enough()

const before = counts()
const lostAt = performance.now()
if (how === 'killed') master.kill('SIGKILL')
else ip('link set to-one down')
await sleep(MOVES_AFTER)
if (how === 'killed') ip(`-n one address del ${ADDRESS}/24 dev eth0`)
ip(`-n other address add ${ADDRESS}/24 dev eth0`)
// As keepalived tells everybody.
ip(`neighbour flush to ${ADDRESS}`)
const movedAt = performance.now()

await enough(counts())
isOver = true
await traffic
for (const live of slow) await saveLate(live).catch(error => failures.push(error.code ?? String(error)))

const found = (await patient.getMany([...sids, ...answers.map(({ sid }) => sid)])) as Map<string, Data>
const isCopied = ({ store, ended }: Answer): boolean =>
  ended > movedAt ||
  answers.some(later => later.store === store && later.began >= ended && later.ended <= lostAt)
const isGone = ({ kind, sid, key }: Answer): boolean =>
  kind === 'change' ? found.get(sid)?.[key] !== true : kind === 'logout' && found.has(sid)
const kept = answers.filter(isCopied)
const atRisk = answers.filter(answer => !isCopied(answer))
const ofKind = (some: readonly Answer[], kind: Answer['kind']): Answer[] =>
  some.filter(one => one.kind === kind)
const countsOf = (sid: string, some: readonly Answer[]): number =>
  ofKind(some, 'count').filter(one => one.sid === sid).length

const times = answers.map(({ ended }) => ended).sort((a, b) => a - b)
const report: Report = {
  before,
  after: counts(answers.filter(({ ended }) => ended > movedAt)),
  atRisk: atRisk.length,
  goneAtRisk:
    atRisk.filter(isGone).length +
    sids.filter(sid => Number(found.get(sid)?.count) < countsOf(sid, answers)).length,
  lostChanges: ofKind(kept.filter(isGone), 'change').map(({ key }) => key),
  wrongCounts: sids
    .map(sid => ({
      has: Number(found.get(sid)?.count),
      least: countsOf(sid, kept),
      most: asked.get(sid) ?? 0,
    }))
    .filter(({ has, least, most }) => !(has >= least && has <= most))
    .map(({ has, least, most }) => `${has}, not ${least} to ${most}`),
  undoneLogouts: ofKind(kept.filter(isGone), 'logout').map(({ sid }) => sid),
  failures,
  outage: times.reduce((most, time, index) => Math.max(most, time - (times[index - 1] ?? time)), 0),
}
await Promise.all([patient, ...stores].map(store => store.close()))
master.kill('SIGKILL')
slave.kill('SIGKILL')
process.stdout.write(JSON.stringify(report))
