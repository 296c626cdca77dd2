/**
 * Runs the tests on every Node that is alive, which npm brings, and ends with a line for each. For each: the
 * tests that check (or the files named), then the packed package's consumers.
 *
 *   npm run test:nodes                          on all of them
 *   npm run test:nodes -- --node 24 --node 26   on these
 *   npm run test:nodes -- --others               on all but the one that runs this
 *   npm run test:nodes -- test/session          these files only, and no consumers
 *   npm run test:nodes -- --all                 all tests, instead of those that check
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT: string = fileURLToPath(new URL('..', import.meta.url))
/** Oldest first; the first is what `engines` says. */
const NODES = ['20.19', '22', '24', '26']
/** Where each version is kept from one run to the next. */
const CACHE: string = join(ROOT, 'node_modules', '.cache', 'nodes')
/** Milliseconds that one run of the tests may take. */
const LIMIT = 20 * 60_000

const { values, positionals: files } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    others: { type: 'boolean', default: false },
    node: { type: 'string', multiple: true },
  },
  allowPositionals: true,
})

interface Outcome {
  readonly node: string
  readonly what: string
  readonly isGood: boolean
  readonly counts: string
  readonly seconds: number
}

function npm(args: readonly string[], cwd = ROOT): void {
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed:\n${stdout}${stderr}`)
}

/** The path of a Node of this version, and the version that it says to be. */
function install(version: string): { path: string; exact: string } {
  const folder = join(CACHE, version)
  const path = join(folder, 'node_modules', 'node', 'bin', 'node')
  const ask = (): SpawnSyncReturns<string> => spawnSync(path, ['--version'], { encoding: 'utf8' })
  if (!existsSync(path) || ask().status !== 0) {
    console.log(`Node ${version}: installing`)
    mkdirSync(folder, { recursive: true })
    // Its postinstall script puts the program where it belongs.
    npm(
      [
        'install',
        '--prefix',
        folder,
        '--no-audit',
        '--no-fund',
        '--no-save',
        '--ignore-scripts=false',
        `node@${version}`,
      ],
      folder,
    )
  }
  const { status, stdout, stderr, error } = ask()
  if (status !== 0) throw new Error(`Node ${version} does not run: ${error?.message ?? stderr}`)
  return { path, exact: stdout.trim() }
}

/** Runs vitest on it. What it prints is shown where it fails. */
function run(node: { path: string; exact: string }, what: string, args: readonly string[]): Outcome {
  console.log(`Node ${node.exact}: ${what}`)
  const began = performance.now()
  const { status, stdout, stderr } = spawnSync(
    node.path,
    ['node_modules/vitest/vitest.mjs', 'run', ...args],
    {
      cwd: ROOT,
      encoding: 'utf8',
      // First in the path, so that what the tests start is the same Node.
      env: { ...process.env, NO_COLOR: '1', PATH: `${dirname(node.path)}:${process.env.PATH}` },
      maxBuffer: 2 ** 28,
      timeout: LIMIT,
    },
  )
  const counts = /^ *Tests +(.*)$/m.exec(stdout)?.[1] ?? 'no tests ran'
  const seconds = Math.round((performance.now() - began) / 1000)
  if (status !== 0) console.log(stdout, stderr)
  return { node: node.exact, what, isGood: status === 0, counts, seconds }
}

const ALL = '--config=vitest.all.config.ts'
/** What is run on each. */
const RUNS: readonly (readonly [what: string, args: readonly string[]])[] = values.all
  ? [['all tests', [ALL, ...files]]]
  : files.length > 0
    ? [['these tests', files]]
    : [
        ['the tests that check', []],
        ['the consumers of the package', [ALL, 'test/package/']],
      ]

// Once, with the Node of this machine: the package is the same for all.
if (RUNS.some(([, args]) => args.includes(ALL))) npm(['run', 'build'])

const own = process.versions.node.split('.')[0]
const wanted = (values.node ?? NODES).filter(version => !values.others || version.split('.')[0] !== own)

const outcomes: Outcome[] = []
for (const version of wanted) {
  try {
    const node = install(version)
    for (const [what, args] of RUNS) outcomes.push(run(node, what, args))
  } catch (error) {
    outcomes.push({ node: version, what: String(error), isGood: false, counts: 'no tests ran', seconds: 0 })
  }
}

console.log()
for (const { node, what, isGood, counts, seconds } of outcomes) {
  console.log(`${isGood ? 'ok    ' : 'FAILED'} Node ${node}, ${what}: ${counts}, ${seconds} s`)
}
if (!outcomes.every(({ isGood }) => isGood)) process.exitCode = 1
