import type { Store } from 'express-session'
import type { MemcachedNode } from '../../lib/memcached/node.ts'
import { App } from './app.ts'
import { SimulatedBacking, SimulatedDatabase } from './backing.ts'
import { judge, type Verdict } from './checks.ts'
import { strike } from './faults.ts'
import { History, type Operation } from './history.ts'
import { SimulatedNode } from './node.ts'
import { type BackingSetting, type Plan, type Setting, slackOf, USERS } from './plan.ts'
import { Random } from './random.ts'
import { SimulatedServer } from './server.ts'
import { Story } from './story.ts'
import { BEGINNING, type Clock, VirtualTime } from './virtual-time.ts'
import { type Browser, visit } from './visitor.ts'

export interface Outcome {
  readonly verdict: Verdict
  readonly history: History
  readonly servers: readonly SimulatedServer[]
  readonly story: string
}

export interface SimulateOptions {
  /** Write down all that happens, for people. */
  readonly tells?: boolean
  /** What lies between a store and its server, to break it on purpose. */
  readonly wrap?: (node: MemcachedNode) => MemcachedNode
  /** The same for the backing store. */
  readonly wrapBacking?: (store: Store) => Store
}

/** Milliseconds after the last request's beginning by which all of a history has come to its end. */
const MAX_TIME = 120_000
/** The process that looks at what is left. */
const OBSERVER = -1

/** Lets a history happen, and judges it. */
export async function simulate(plan: Plan, options: SimulateOptions = {}): Promise<Outcome> {
  const rejected: unknown[] = []
  const note = (reason: unknown): unknown => rejected.push(reason)
  process.on('unhandledRejection', note)
  const { stackTraceLimit } = Error
  // Nobody reads the stacks of the many errors of a history, and taking one costs more than most steps.
  Error.stackTraceLimit = 0
  try {
    // Whatever else is under way in this process must not draw on the history's chance.
    await turn()
    const outcome = await happen(plan, options)
    // Node tells of rejections only when nothing else is left to do.
    await turn()
    for (const reason of rejected) outcome.verdict.violations.push(`unhandled: ${reason}`)
    return outcome
  } finally {
    Error.stackTraceLimit = stackTraceLimit
    process.off('unhandledRejection', note)
  }
}

/** A turn of the real event loop. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

async function happen(
  plan: Plan,
  { tells = false, wrap, wrapBacking = store => store }: SimulateOptions,
): Promise<Outcome> {
  const { setting } = plan
  const random = new Random(plan.seed ^ 0x5bd1e995)
  const time = new VirtualTime(random)
  const history = new History(() => time.now)
  const story = tells ? new Story(time) : undefined
  time.onThrow = thrown => history.thrown.push(thrown)

  const servers = Array.from(
    { length: setting.servers },
    (_, number) => new SimulatedServer(`server-${number}:11211`, time, random),
  )
  const database = new SimulatedDatabase(time, random, setting, (clock, text) => story?.tell(clock, text))
  let ids = 0
  let logins = 0
  const start = (number: number, clock: Clock): App => {
    story?.name(clock, number === OBSERVER ? 'observer' : `process ${number}`)
    const connect = (onChange: (isReachable: boolean) => void): MemcachedNode[] => {
      const down = new Set<SimulatedServer>()
      return servers.map(server => {
        const note = (isUp: boolean): void => {
          const before = down.size === servers.length
          if (isUp) down.delete(server)
          else down.add(server)
          const after = down.size === servers.length
          if (before !== after) onChange(!after)
          history.away.push({ time: time.now, process: number, server: server.name, isUp })
        }
        const { latency, timeout, protocol } = setting
        const onDoubt = (): unknown => history.doubts.push({ time: time.now, process: number })
        const listen = story?.listen
        const node = new SimulatedNode({
          time,
          random,
          server,
          clock,
          timeout,
          latency,
          protocol,
          onChange: note,
          onDoubt,
          listen,
        })
        return wrap === undefined ? node : wrap(node)
      })
    }
    return new App(
      number,
      clock,
      setting,
      history,
      connect,
      () => time.now,
      () => `session-${ids++}`,
      setting.backing === null ? undefined : wrapBacking(new SimulatedBacking(database, time, clock, number)),
    )
  }

  const clocks = setting.skews.map((skew): Clock => ({ skew }))
  const apps = clocks.map((clock, number) => start(number, clock))
  const browsers: Browser[] = []
  let underWay = plan.visits.length
  for (const [number, planned] of plan.visits.entries()) {
    browsers[planned.browser] ??= { cookie: undefined }
    const app = apps[planned.process] as App
    time.at(BEGINNING + planned.at, app.clock, () => {
      const tell = story?.of(app.clock, `request ${number}`)
      tell?.(`begins, of browser ${planned.browser}`)
      const world = { time, history, tell, newLogin: () => logins++ }
      void visit(world, app, browsers[planned.browser] as Browser, planned).then(() => {
        underWay--
      })
    })
  }
  for (const fault of plan.faults) {
    const owner: Clock = { skew: 0 }
    time.at(BEGINNING + fault.at, owner, () => strike(fault, time, servers, clocks, database, story))
  }
  const end = BEGINNING + MAX_TIME + Math.max(0, ...plan.visits.map(({ at }) => at))
  await time.run(() => underWay === 0 || time.now > end)
  const isOver = underWay === 0
  if (isOver && setting.backing !== null) await recover(setting.backing)
  if (isOver) await observe(start(OBSERVER, { skew: 0 }), apps)

  /** Both sides are well again, and what they owe each other is paid; then memcached may lose everything. */
  async function recover({ timeout, isWiped }: BackingSetting): Promise<void> {
    database.spoiling = null
    database.onChange = null
    const well = time.now + 2 * timeout + 15_000
    await time.run(() => time.now >= well)
    if (!isWiped) return
    strike({ at: 0, fault: 'flush' }, time, servers, clocks, database, story)
  }

  async function observe(observer: App, others: readonly App[]): Promise<void> {
    let isDone = false
    const look = async (): Promise<void> => {
      for (const server of servers) {
        server.trap = null
        server.thaw()
        server.start()
      }
      // What is still on its way arrives.
      await time.pause(50 * setting.latency)
      await lookAtAll()
      const looks = Promise.all(promisesOf(history).map(lookBeforeItsEnd))
      if (setting.hasUsers) {
        await listAll()
        // An index has to last for as long as its sessions.
        await time.pause((0.8 * Math.max(0, lastDate(history, setting) - time.now)) % MAX_TIME)
        await lookAtAll()
        await listAll()
      }
      await looks
      await Promise.all(others.map(app => close(app)))
      if (setting.ttl <= 60) {
        await time.pause(lastDate(history, setting) - time.now)
        await lookAtAll()
      }
      isDone = true
    }
    const listAll = async (): Promise<void> => {
      for (const user of USERS) await observer.sessionsOf(user)
      await lookAtAll()
    }
    const lookAtAll = (): Promise<unknown> =>
      Promise.all(Array.from({ length: ids }, (_, id) => read(`session-${id}`)))
    /** By the process that has promised it, whose clock it goes by. */
    const lookBeforeItsEnd = async ({ sid, process, expires }: Operation): Promise<void> => {
      const wait = (expires ?? 0) - 4 * setting.latency - time.now
      if (wait < 0 || wait > MAX_TIME) return
      const { clock, store } = others[process] as App
      await new Promise<void>(resolve => {
        time.after(wait, clock, () => store.get(sid, () => resolve()))
      })
    }
    const read = (sid: string): Promise<void> =>
      new Promise(resolve => observer.store.get(sid, () => resolve()))
    const close = async (app: App): Promise<void> => {
      const operation = history.begin('close', '', OBSERVER)
      await app.store.close()
      history.end(operation, undefined)
    }
    time.at(time.now, observer.clock, () => void look())
    const latest = time.now + 2 * MAX_TIME
    await time.run(() => isDone || time.now > latest)
  }

  const verdict = judge(plan, history, servers, database)
  return { verdict, history, servers, story: story?.toString() ?? '' }
}

/** Those that have told a visitor a date. */
function promisesOf({ operations }: History): Operation[] {
  return operations.filter(
    ({ what, calls, error }) => (what === 'set' || what === 'touch') && calls === 1 && error === undefined,
  )
}

/** Milliseconds of the world at which the last session's time is over, whatever was promised. */
function lastDate({ operations }: History, { ttl, touchAfter }: Setting): number {
  const dates = operations.map(({ expires, end, leaves }) => {
    const life = (leaves?.life as number | undefined) ?? ttl * 1000
    const begun = Number.isFinite(end) ? end : 0
    return (expires ?? begun + ttl * 1000) + slackOf(touchAfter, life)
  })
  return Math.max(0, ...dates) + 3500
}
