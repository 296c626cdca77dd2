import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MUTANTS, type Mutant } from './mutants.ts'
import { draw } from './plan.ts'
import type { Find, Progress } from './run.ts'
import { kindOf } from './shrink.ts'
import { simulate } from './simulate.ts'

const HELP = `npm run simulate:mutants -- [options]

Takes the store's rules out, one at a time, and tells how many histories it takes until the simulation notices.

  --histories N   so many for each, at most (20000)
  --seed S        the seed of the first history (1, or one that is known to show it)
  --jobs J        so many at a time (2)
  --only TEXT     those whose name contains it
`

const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '20000' },
    seed: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
})

const root = fileURLToPath(new URL('../..', import.meta.url))

if (values.help) console.log(HELP)
else await tryAll(MUTANTS.filter(({ name }) => name.includes(values.only)))

async function tryAll(mutants: readonly Mutant[]): Promise<void> {
  const waiting = [...mutants]
  let unnoticed = 0
  const work = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const find = await search(mutant)
      if (find === undefined) unnoticed++
      const after =
        find === undefined ? `not in ${values.histories}` : `${kindOf(find.violation)} after ${find.after}`
      console.log(`${after.padEnd(24)} ${mutant.isBacked ? 'backing: ' : ''}${mutant.name}`)
    }
  }
  await Promise.all(Array.from({ length: Number(values.jobs) }, work))
  console.log(`\n${mutants.length - unnoticed} of ${mutants.length} noticed`)
  if (unnoticed > 0) process.exitCode = 1
}

/** What the simulation says first of a store without this rule. */
async function search({ mutations, isBacked, seed: known = 1 }: Mutant): Promise<Find | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'mutant-'))
  try {
    for (const part of ['lib', 'test', 'package.json', 'tsconfig.json']) {
      await cp(join(root, part), join(folder, part), { recursive: true })
    }
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    for (const [file, from, to] of mutations) {
      const path = join(folder, 'lib', file)
      await writeFile(
        path,
        (await readFile(path, 'utf8')).replace(from, () => to),
      )
    }
    const { histories, seed = String(known) } = values
    const options = [
      '--job',
      '0',
      '--histories',
      histories,
      '--seed',
      seed,
      ...(isBacked ? ['--backing'] : []),
    ]
    const find = await firstFind(fork(join(folder, 'test/simulation/run.ts'), options))
    if (find !== undefined) await checkWhole(find.seed, isBacked)
    return find
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** What is found must not be found of the store as it is. */
async function checkWhole(seed: number, isBacked: boolean): Promise<void> {
  const { verdict } = await simulate(draw(seed, { isBacked }))
  if (verdict.violations.length === 0) return
  throw new Error(
    `The store itself: ${verdict.violations[0]} (${isBacked ? '--backing ' : ''}--seed ${seed} --once)`,
  )
}

async function firstFind(job: ChildProcess): Promise<Find | undefined> {
  let find: Find | undefined
  job.on('message', ({ finds }: Progress) => {
    find ??= finds[0]
  })
  // What it said last may come after its end.
  const [[code]] = await Promise.all([once(job, 'exit'), once(job, 'disconnect')])
  if (code !== 0) throw new Error(`A simulation ended with code ${code}`)
  return find
}
