import type { ProtocolName } from '../../lib/memcached/address.ts'
import { Random } from './random.ts'

/** What one request does to its session, one after the other. Values are unique, so that their origin can be told. */
export type Step =
  | { readonly do: 'set'; readonly leaf: Leaf; readonly value: string }
  | { readonly do: 'delete'; readonly leaf: Leaf }
  | { readonly do: 'save' | 'save and go on' | 'reload' | 'regenerate' | 'logout' }
  | { readonly do: 'login'; readonly user: string }
  | { readonly do: 'life'; readonly milliseconds: number }
  | { readonly do: 'pause'; readonly milliseconds: number }
  | { readonly do: 'count' }
  | { readonly do: 'sign out everywhere'; readonly user: string; readonly exceptOwn: boolean }

export interface Visit {
  /** Milliseconds after the beginning. */
  readonly at: number
  readonly process: number
  readonly browser: number
  readonly steps: readonly Step[]
  /** Does its caller go on after an error, or end the response? */
  readonly goesOn: boolean
  readonly isExclusive: boolean
}

export type Fault =
  | { readonly at: number; readonly fault: 'evict'; readonly pick: number }
  | {
      readonly at: number
      readonly fault: 'restart'
      readonly server: number
      readonly isWarm: boolean
      readonly away: number
    }
  | { readonly at: number; readonly fault: 'freeze'; readonly server: number; readonly lasts: number }
  | {
      readonly at: number
      readonly fault: 'cut'
      readonly server: number
      readonly when: 'before' | 'after'
      readonly what: 'write' | 'any'
    }
  | { readonly at: number; readonly fault: 'clock'; readonly process: number; readonly by: number }
  | { readonly at: number; readonly fault: 'flush' | 'flush at a change' }
  | { readonly at: number; readonly fault: 'backing down' | 'backing hangs'; readonly lasts: number }
  | {
      readonly at: number
      readonly fault: 'backing fails'
      readonly calls: number
      readonly when: 'before' | 'after'
    }

/** The application and its surroundings. */
export interface Setting {
  readonly servers: number
  /** Of each process, what its clock is ahead of the world's, in milliseconds. */
  readonly skews: readonly number[]
  /** Milliseconds, one way. */
  readonly latency: number
  /** Milliseconds a session lives; null for one without a date, which lives for `ttl`. */
  readonly maxAge: number | null
  /** Seconds. */
  readonly ttl: number
  readonly touchAfter: number | undefined
  readonly tombstone: number
  readonly timeout: number
  readonly onConflict: 'merge' | 'overwrite' | 'reject'
  readonly onUnavailable: 'error' | 'anonymous'
  readonly rolling: boolean
  readonly resave: boolean
  readonly hasUsers: boolean
  readonly protocol: ProtocolName
  /** What lies behind memcached; null where nothing does. */
  readonly backing: BackingSetting | null
}

/** Milliseconds by which what is stored may lag. */
export function slackOf(touchAfter: number | undefined, life: number): number {
  return touchAfter === undefined ? Math.min(life / 100, 300_000) : touchAfter * 1000
}

export interface BackingSetting {
  /** Milliseconds, one way. */
  readonly latency: number
  readonly timeout: number
  /** Is everything in memcached lost before the last look? */
  readonly isWiped: boolean
}

/** One history, before it happens: everything but the latencies and the store's own chance, which `seed` decides. */
export interface Plan {
  readonly seed: number
  readonly setting: Setting
  readonly visits: readonly Visit[]
  readonly faults: readonly Fault[]
}

/** What a session of the simulation consists of, but for its cookie, user and counter. */
export const LEAVES = ['a', 'b', 'n.x', 'n.y', 'n.m.z'] as const
export type Leaf = (typeof LEAVES)[number]

const LIVES_APART = 110
/** So many have sessions. */
const MAX_BROWSERS = 2
export const USERS = ['ann', 'bob'] as const

export interface World {
  /** With a backing store, and its faults. */
  readonly isBacked?: boolean
  readonly protocol?: ProtocolName
}

/** Draws a history: the same in each world, but for what is particular to that. */
export function draw(seed: number, { isBacked = false, protocol = 'binary' }: World = {}): Plan {
  const random = new Random(seed)
  const setting = { ...drawSetting(random), protocol }
  const visits = drawVisits(random, setting)
  const plan = { seed, setting, visits, faults: drawFaults(random, setting, visits) }
  const more = withSignOut(withLastMoments(plan))
  return isBacked ? withBacking(more) : more
}

/** A sign-out everywhere by somebody without a session, while a login is under way: with chance of its own. */
function withSignOut(plan: Plan): Plan {
  const { setting, visits } = plan
  const random = new Random(plan.seed ^ 0x3c6ef372)
  if (!setting.hasUsers || !random.chance(0.15)) return plan
  const logins = visits.flatMap(({ at, steps }) =>
    steps.flatMap(step => (step.do === 'login' ? [{ at, user: step.user }] : [])),
  )
  if (logins.length === 0) return plan
  const { at, user } = random.pick(logins)
  const moment = at + random.between(0, 8) * setting.latency
  const process = random.whole(0, setting.skews.length - 1)
  const steps: Step[] = [{ do: 'sign out everywhere', user, exceptOwn: false }]
  return withVisits(plan, [come(moment, process, MAX_BROWSERS, steps)])
}

/** A request that goes on after an error, and lets others in. */
function come(moment: number, process: number, browser: number, steps: readonly Step[]): Visit {
  return { at: Math.round(moment * 10) / 10, process, browser, steps, goesOn: true, isExclusive: false }
}

function withVisits(plan: Plan, more: readonly Visit[]): Plan {
  return { ...plan, visits: [...plan.visits, ...more].sort((one, other) => one.at - other.at) }
}

/** Requests that come when a session is about to end, with chance of their own. */
function withLastMoments(plan: Plan): Plan {
  const { setting, visits } = plan
  const random = new Random(plan.seed ^ 0x68e31da4)
  if (setting.maxAge === null || setting.maxAge > 10_000 || !random.chance(0.15)) return plan
  const { at, browser } = random.pick(visits)
  const late = Array.from({ length: 2 }, (): Visit => {
    const moment = at + (setting.maxAge ?? 0) + random.between(-10, 6) * setting.latency
    const process = random.whole(0, setting.skews.length - 1)
    const isShort = random.chance(0.5)
    const steps: Step[] = isShort ? [] : [{ do: 'pause', milliseconds: drawPause(random, setting) }]
    return come(moment, process, browser, steps)
  })
  return withVisits(plan, late)
}

/** Chance of its own, so that a seed is the same history with and without it. */
function withBacking({ seed, setting, visits, faults }: Plan): Plan {
  const random = new Random(seed ^ 0x2545f491)
  const backing = {
    latency: random.weighted([
      [4, 1],
      [2, 5],
      [1, 40],
    ] as const),
    timeout: random.pick([200, 1000, 5000]),
    isWiped: random.chance(0.6),
  }
  const count = random.weighted([
    [3, 0],
    [3, 1],
    [2, 2],
  ] as const)
  const more = Array.from({ length: count }, (): Fault => {
    const visit = random.pick(visits)
    const at =
      Math.round((visit.at + random.between(0, random.pick([3, 8, 30, 300]) * setting.latency)) * 10) / 10
    const lasts = random.pick([20, 300, 1.5 * backing.timeout, 4000])
    return random.weighted<() => Fault>([
      [3, () => ({ at, fault: 'flush' })],
      [1, () => ({ at, fault: 'backing down', lasts })],
      [1, () => ({ at, fault: 'backing hangs', lasts })],
      [
        2,
        () => ({
          at,
          fault: 'backing fails',
          calls: random.whole(1, 3),
          when: random.pick(['before', 'after'] as const),
        }),
      ],
    ])()
  })
  // A process whose clock is an hour behind tells a database dates that are over: as with that store alone.
  const usual = faults.filter(fault => fault.fault !== 'clock' || Math.abs(fault.by) < 1000)
  const all = [...usual, ...more, ...drawLosses(seed, visits)]
  return withFailedSave(withOutage({ seed, setting: { ...setting, backing }, visits, faults: all }))
}

/** Memcached loses everything while the backing store is told of a change: with chance of its own, too. */
function drawLosses(seed: number, visits: readonly Visit[]): Fault[] {
  const random = new Random(seed ^ 0x1b873593)
  if (!random.chance(0.15)) return []
  const endings = visits.filter(({ steps }) =>
    steps.some(step => step.do === 'logout' || step.do === 'regenerate'),
  )
  const { at } = random.pick(endings.length > 0 && random.chance(0.5) ? endings : visits)
  return [{ at, fault: 'flush at a change' }]
}

/** One process changes a session while memcached is away, and another that has met that outage reads it afterwards. */
function withOutage(plan: Plan): Plan {
  const { setting, visits, faults } = plan
  const random = new Random(plan.seed ^ 0x510e527f)
  if (!random.chance(0.1)) return plan
  const { at, browser } = random.pick(visits)
  const begin = at + random.whole(20, 500)
  const lasts = random.pick([1000, 2500])
  const fault: Fault = random.chance(0.5)
    ? { at: begin, fault: 'restart', server: 0, isWarm: true, away: lasts }
    : { at: begin, fault: 'freeze', server: 0, lasts }
  const [one, other] = [random.whole(0, setting.skews.length - 1), random.whole(0, setting.skews.length - 1)]
  const more = [
    come(begin + random.between(0, lasts), one, browser, [
      { do: 'set', leaf: random.pick(LEAVES), value: 'alone' },
    ]),
    come(begin + random.between(0, lasts), other, browser, []),
    come(begin + lasts + random.between(0, 1500), other, browser, []),
  ]
  return withVisits({ ...plan, faults: [...faults, fault] }, more)
}

/** A save is stored, and told to have failed; memcached loses it, and its request saves once more. */
function withFailedSave(plan: Plan): Plan {
  const { setting, visits, faults } = plan
  const random = new Random(plan.seed ^ 0x1f83d9ab)
  if (!random.chance(0.1)) return plan
  const last = visits.at(-1) as Visit
  const at = last.at + random.whole(50, 500)
  const leaf = random.pick(LEAVES)
  const milliseconds = Math.round(random.between(0.2, 0.9) * Math.min(setting.ttl, 10) * 1000)
  const process = random.whole(0, setting.skews.length - 1)
  const more = come(at, process, last.browser, [
    { do: 'set', leaf, value: 'failed' },
    { do: 'save' },
    { do: 'pause', milliseconds },
    random.chance(0.5) ? { do: 'delete', leaf } : { do: 'set', leaf, value: 'saved' },
    { do: 'save' },
  ])
  const fault: Fault = { at, fault: 'backing fails', calls: 1, when: 'after' }
  const loss: Fault = { at: at + Math.round(milliseconds / 2), fault: 'flush' }
  return withVisits({ ...plan, faults: [...faults, fault, loss] }, [more])
}

function drawSetting(random: Random): Omit<Setting, 'protocol'> {
  const processes = random.whole(1, 3)
  const isDated = random.chance(0.8)
  const life = random.weighted([
    [6, random.whole(2, 10)],
    [2, 60],
    [1, 3600],
  ] as const)
  const isSkewed = random.chance(0.3)
  return {
    servers: random.weighted([
      [14, 1],
      [1, 2],
      [1, 3],
    ] as const),
    skews: Array.from({ length: processes }, () => (isSkewed ? random.whole(-200, 200) : 0)),
    latency: random.weighted([
      [4, 0.3],
      [3, 1],
      [1, 5],
      [1, 20],
    ] as const),
    maxAge: isDated ? life * 1000 : null,
    ttl: life,
    touchAfter: random.weighted<number | undefined>([
      [2, undefined],
      [2, 0],
      [2, 1],
      [1, 3],
    ]),
    tombstone: random.weighted([
      [1, 2],
      [2, 300],
    ] as const),
    timeout: random.weighted([
      [1, 100],
      [3, 500],
    ] as const),
    onConflict: random.weighted([
      [8, 'merge'],
      [1, 'reject'],
      [1, 'overwrite'],
    ] as const),
    onUnavailable: random.chance(0.9) ? 'error' : 'anonymous',
    rolling: random.chance(0.5),
    resave: random.chance(0.2),
    hasUsers: random.chance(0.35),
    backing: null,
  }
}

function drawVisits(random: Random, setting: Setting): Visit[] {
  const browsers = random.weighted([
    [3, 1],
    [1, 2],
  ] as const)
  const count = random.whole(2, 7)
  const visits: Visit[] = []
  const fresh = new Fresh(random, setting)
  let at = 0
  for (let browser = 0; browser < browsers; browser++) {
    const steps: Step[] = [{ do: 'set', leaf: 'a', value: fresh.value() }]
    if (random.chance(0.5)) steps.push({ do: 'set', leaf: 'n.x', value: fresh.value() })
    if (setting.hasUsers && random.chance(0.8)) steps.push({ do: 'login', user: random.pick(USERS) })
    visits.push({
      at,
      process: random.whole(0, setting.skews.length - 1),
      browser,
      steps,
      goesOn: true,
      isExclusive: false,
    })
    at += random.whole(0, 30)
  }
  const life = setting.ttl * 1000
  const isPeriodic = random.chance(0.3)
  const period = random.between(0.1, 0.95) * Math.min(life, 10_000)
  at += setting.timeout
  for (let number = 0; number < count; number++) {
    at += isPeriodic
      ? period
      : random.weighted([
          [6, random.between(0, 6 * setting.latency)],
          [2, random.between(0, 1000)],
          [2, random.between(0.5, 1) * Math.min(life, 10_000)],
          [0.5, random.between(1, 1.7) * Math.min(life, 10_000)],
        ] as const)
    const count = random.weighted([
      [1, 0],
      [2, 1],
      [2, 2],
      [2, 3],
      [1, 5],
      [0.5, 8],
    ] as const)
    const steps: Step[] = []
    while (steps.length < count) steps.push(...drawSteps(random, setting, fresh))
    visits.push({
      at: Math.round(at * 10) / 10,
      process: random.whole(0, setting.skews.length - 1),
      browser: random.whole(0, browsers - 1),
      steps,
      goesOn: random.chance(0.6),
      isExclusive: random.chance(0.08),
    })
  }
  return visits
}

/** Values that tell where they come from: none is drawn twice. */
class Fresh {
  readonly #random: Random
  readonly #lives: number[]
  #values = 0

  constructor(random: Random, { maxAge }: Setting) {
    this.#random = random
    this.#lives = maxAge === null ? [] : [maxAge]
  }

  value(): string {
    return `v${this.#values++}`
  }

  /** Milliseconds; further from each other than the drift that the store allows to express-session. */
  life(): number {
    for (;;) {
      const life = this.#random.pick([1500, 3000, 6000, 20_000]) + this.#random.whole(0, 2000)
      if (this.#lives.some(other => Math.abs(other - life) < LIVES_APART)) continue
      this.#lives.push(life)
      return life
    }
  }
}

function drawSteps(random: Random, setting: Setting, fresh: Fresh): Step[] {
  const leaf = random.pick(LEAVES)
  return random.weighted<() => Step[]>([
    [8, () => [{ do: 'set', leaf, value: fresh.value() }]],
    [3, () => [{ do: 'delete', leaf }]],
    [5, () => [{ do: 'save' }]],
    [1, () => [{ do: 'save and go on' }]],
    [2, () => drawTakeBack(random, setting, leaf, fresh)],
    [1.5, () => [{ do: 'reload' }]],
    [0.7, () => [{ do: 'regenerate' }]],
    [1, () => [{ do: 'logout' }]],
    [1.5, () => [{ do: 'life', milliseconds: fresh.life() }]],
    [4, () => [{ do: 'pause', milliseconds: drawPause(random, setting) }]],
    [3.5, () => [{ do: 'count' }]],
    [setting.hasUsers ? 2 : 0, () => [{ do: 'login', user: random.pick(USERS) }]],
    [
      setting.hasUsers ? 0.7 : 0,
      () => [{ do: 'sign out everywhere', user: random.pick(USERS), exceptOwn: random.chance(0.3) }],
    ],
  ])()
}

/** Something is stored, and taken back; in between the server may have come back from a failure. */
function drawTakeBack(random: Random, { timeout }: Setting, leaf: Leaf, fresh: Fresh): Step[] {
  const pause: Step[] = random.chance(0.4)
    ? [{ do: 'pause', milliseconds: timeout + random.whole(0, 1500) }]
    : []
  return [
    { do: 'set', leaf, value: fresh.value() },
    { do: 'save' },
    ...pause,
    { do: 'delete', leaf },
    ...(random.chance(0.7) ? [{ do: 'save' } as const] : []),
  ]
}

function drawPause(random: Random, { latency, ttl, tombstone }: Setting): number {
  return Math.round(
    random.weighted([
      [6, random.between(0, 6 * latency)],
      [1, random.between(0, 1000)],
      [0.7, random.between(0.5, 1.5) * Math.min(ttl, 10) * 1000],
      [0.7, tombstone < 10 ? random.between(0.8, 2) * tombstone * 1000 : 0],
    ] as const),
  )
}

function drawFaults(random: Random, setting: Setting, visits: readonly Visit[]): Fault[] {
  const count = random.weighted([
    [5, 0],
    [3, 1],
    [2, 2],
    [1, 3],
  ] as const)
  return Array.from({ length: count }, () => {
    const visit = random.pick(visits)
    const at =
      Math.round((visit.at + random.between(0, random.pick([3, 8, 30, 1000]) * setting.latency)) * 10) / 10
    const server = random.whole(0, setting.servers - 1)
    return random.weighted<() => Fault>([
      [1, () => ({ at, fault: 'evict', pick: random.whole(0, 99) })],
      [
        2.2,
        () => ({
          at,
          fault: 'restart',
          server,
          isWarm: random.chance(0.5),
          away: random.pick([0, 0, 5, 30, 300, 1500]),
        }),
      ],
      [2, () => ({ at, fault: 'freeze', server, lasts: random.pick([0.5, 1.2, 1.6, 5]) * setting.timeout })],
      [
        4,
        () => ({
          at,
          fault: 'cut',
          server,
          when: random.pick(['before', 'after'] as const),
          what: random.pick(['write', 'write', 'any'] as const),
        }),
      ],
      [
        setting.maxAge === null ? 2.5 : 0.7,
        () => ({
          at,
          fault: 'clock',
          process: random.whole(0, setting.skews.length - 1),
          by: setting.maxAge === null && random.chance(0.6) ? -3_600_000 : random.whole(-200, 200),
        }),
      ],
    ])()
  })
}
