// What a store costs before its first request: what is installed, and what it takes to be imported.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from './lib/measure.js'
import { number, quartiles, table } from './lib/table.js'

export const title = 'Size'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ROUNDS = 21

/** With what each needs to reach a server. express-session is there for all, and counted for none. */
const STORES = [
  { name: 'ours', packages: ['memjs'], program: "import 'express-session-memcached'" },
  {
    name: 'connect-redis with redis',
    packages: ['connect-redis', 'redis'],
    program: "import 'connect-redis'; import 'redis'",
  },
  {
    name: 'connect-memcached',
    packages: ['connect-memcached'],
    program: "import session from 'express-session'; import store from 'connect-memcached'; store(session)",
  },
]
/** The versions that the other benchmarks use. */
const VERSIONS = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')).dependencies

/** @returns {Promise<import('./run.js').Section>} */
export async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'size-'))
  try {
    // Declarations are part of what is installed.
    npm(['run', 'build'], ROOT)
    const [{ filename }] = JSON.parse(
      npm(['pack', '--ignore-scripts', '--json', '--pack-destination', folder], ROOT),
    )
    const bare = install(join(folder, 'bare'), ['express-session'])
    const rows = STORES.map(({ name, packages, program }, index) => {
      const others = packages.map(each => `${each}@${VERSIONS[each]}`)
      const own = name === 'ours' ? [join(folder, filename)] : []
      const there = install(join(folder, String(index)), ['express-session', ...own, ...others])
      return {
        name,
        count: there.count - bare.count,
        bytes: there.bytes - bare.bytes,
        file: write(there.folder, program),
      }
    })
    const empty = write(bare.folder, "import 'express-session'")
    const times = inTurns([empty, ...rows.map(({ file }) => file)])
    const [base, ...imports] = times
    return {
      title,
      blocks: [
        `Installed beside express-session, and imported after it in a new process, ${ROUNDS} rounds by turns (median, quartiles). An empty process with express-session takes ${quartiles(base ?? [])} ms.`,
        table(
          ['store', 'packages', 'kB installed', 'ms to import'],
          rows.map(({ name, count, bytes }, index) => [
            name,
            number(count),
            number(Math.round(bytes / 1024)),
            quartiles((imports[index] ?? []).map(time => time - median(base ?? []))),
          ]),
        ),
      ],
      charts: {},
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @param {string[]} args @param {string} cwd */
function npm(args, cwd) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

/** @param {string} folder @param {string[]} packages */
function install(folder, packages) {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const flags = [
    '--omit=dev',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--loglevel=error',
  ]
  npm(['install', ...flags, ...packages], folder)
  const paths = readdirSync(join(folder, 'node_modules'), { recursive: true, withFileTypes: true })
  const files = paths.filter(path => path.isFile())
  const bytes = files.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0)
  const { packages: locked } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'))
  return { folder, bytes, count: Object.keys(locked).length - 1 }
}

/** @param {string} folder @param {string} program */
function write(folder, program) {
  const file = join(folder, 'program.mjs')
  writeFileSync(file, `import 'express-session'; ${program}; process.exit()`)
  return file
}

/** Milliseconds of each, each round. @param {string[]} files @returns {number[][]} */
function inTurns(files) {
  const times = files.map(() => /** @type {number[]} */ ([]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, file] of files.entries()) {
      const began = performance.now()
      const { status, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' })
      if (status !== 0) throw new Error(`${file}: ${stderr}`)
      times[index]?.push(performance.now() - began)
    }
  }
  return times
}
