import { fork } from 'node:child_process'
import { parseArgs } from 'node:util'
import { draw, type Plan, type World } from './plan.ts'
import { kindOf, shrink } from './shrink.ts'
import { simulate } from './simulate.ts'
import { Tally } from './tally.ts'
import { tellOf } from './telling.ts'

const HELP = `npm run simulate -- [options]

  --minutes N     for so long (1)
  --histories N   or for so many histories
  --seed S        the seed of the first history; the others count on from there (the time of day)
  --jobs J        in so many processes (1)
  --backing       with a durable store behind memcached
  --text          over memcached's text protocol, which tells no version of what was written
  --once          only the history of --seed, as a story, without making it smaller
  --go-on         do not stop at a violation: count each kind, and tell the first seed of each
`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    histories: { type: 'string' },
    seed: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    job: { type: 'string' },
    backing: { type: 'boolean', default: false },
    text: { type: 'boolean', default: false },
    once: { type: 'boolean', default: false },
    'go-on': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** What a process of many tells of its part, now and then. */
export interface Progress {
  readonly tally: Pick<Tally, 'histories' | 'counts'>
  readonly finds: readonly Find[]
}

export interface Find {
  readonly kind: string
  readonly seed: number
  readonly violation: string
  count: number
  /** How many histories it took. */
  readonly after: number
}

const PROGRESS = 5000
const seed = Number(values.seed ?? Date.now() % 1_000_000_000)
const jobs = Number(values.jobs)
const world: World = { isBacked: values.backing, protocol: values.text ? 'text' : 'binary' }

if (values.help) console.log(HELP)
else if (values.once) await tellOnce(draw(seed, world))
else if (values.job !== undefined) await work(Number(values.job), progress => process.send?.(progress))
else await lead()

/** Runs the histories of one process: each `jobs`-th seed. */
async function work(job: number, tell: (progress: Progress) => void): Promise<void> {
  const histories = values.histories === undefined ? Number.POSITIVE_INFINITY : Number(values.histories)
  const minutes = values.minutes ?? (values.histories === undefined ? 1 : Number.POSITIVE_INFINITY)
  const end = performance.now() + Number(minutes) * 60_000
  const finds = new Map<string, Find>()
  let tally = new Tally()
  let told = performance.now()
  for (let number = job; number < histories && performance.now() < end; number += jobs) {
    const plan = draw(seed + number, world)
    const outcome = await simulate(plan)
    tally.add(plan, outcome)
    for (const violation of outcome.verdict.violations) {
      const kind = kindOf(violation)
      const id = `${plan.seed} ${kind}`
      const find = finds.get(id)
      if (find === undefined) finds.set(id, { kind, seed: plan.seed, violation, count: 1, after: number + 1 })
      else find.count++
    }
    if (performance.now() - told >= PROGRESS) {
      tell({ tally, finds: [...finds.values()] })
      tally = new Tally()
      told = performance.now()
    }
    if (finds.size > 0 && !values['go-on']) break
  }
  tell({ tally, finds: [...finds.values()] })
}

/** Runs all, tells how far they are, and what they found. */
async function lead(): Promise<void> {
  console.log(`seed ${seed}`)
  const begun = performance.now()
  const tally = new Tally()
  const finds = new Map<number, readonly Find[]>()
  const take = (job: number, progress: Progress): void => {
    tally.merge(progress.tally)
    for (const { seed, violation } of progress.finds.slice(finds.get(job)?.length ?? 0)) {
      console.log(`--seed ${seed} --once\n    ${violation}`)
    }
    finds.set(job, progress.finds)
    const seconds = (performance.now() - begun) / 1000
    const found = [...finds.values()].flat().reduce((sum, { count }) => sum + count, 0)
    console.log(
      `${Math.round(seconds)} s: ${tally.histories} histories, ` +
        `${((seconds * 1000) / tally.histories).toFixed(2)} ms each, ${found} violations`,
    )
  }
  if (jobs === 1) await work(0, progress => take(0, progress))
  else
    await Promise.all(Array.from({ length: jobs }, (_, job) => start(job, progress => take(job, progress))))

  console.log(`\n${tally}\n`)
  const first = new Map<string, Find>()
  for (const find of [...finds.values()].flat()) {
    const known = first.get(find.kind)
    const count = find.count + (known?.count ?? 0)
    first.set(find.kind, { ...(known === undefined || find.after < known.after ? find : known), count })
  }
  for (const { kind, count, after, seed, violation } of first.values()) {
    console.log(
      `${kind}: ${count} times, first after ${after} histories, --seed ${seed} --once\n    ${violation}`,
    )
  }
  if (first.size === 0) {
    console.log(`No violation in ${tally.histories} histories.`)
    return
  }
  process.exitCode = 1
  if (values['go-on']) return
  const [find] = first.values()
  if (find === undefined) return
  console.log('\nAs small as it could be made:\n')
  await tellOnce(await shrink(draw(find.seed, world), find.kind))
}

/** One job in a process of its own. */
function start(job: number, take: (progress: Progress) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = process.argv[1] as string
    const shared = ['--seed', String(seed), '--jobs', String(jobs), '--job', String(job)]
    const limits = ['minutes', 'histories'] as const
    const given = limits.flatMap(name =>
      values[name] === undefined ? [] : [`--${name}`, String(values[name])],
    )
    const child = fork(script, [
      ...shared,
      ...given,
      ...(values['go-on'] ? ['--go-on'] : []),
      ...(values.backing ? ['--backing'] : []),
      ...(values.text ? ['--text'] : []),
    ])
    child.on('message', progress => take(progress as Progress))
    child.on('exit', code => (code === 0 ? resolve() : reject(new Error(`A job ended with code ${code}`))))
  })
}

async function tellOnce(plan: Plan): Promise<void> {
  const outcome = await simulate(plan, { tells: true })
  console.log(tellOf(plan, outcome))
  if (outcome.verdict.violations.length > 0) process.exitCode = 1
}
