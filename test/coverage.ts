/**
 * Runs the tests that check, and asks each file of `lib/` for its share: `npm run coverage`. Of these tests
 * rather than of all, since it belongs to every change: all tests take four times as long.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT: string = fileURLToPath(new URL('..', import.meta.url))

/** Per cent, of lines and of branches. */
const FLOOR = 90
/** As many may be left out in any file: in a small one, one is more than a tenth. */
const SPARE = 2

/** Per cent of lines and branches of those that are below it, and why. They may only rise. */
const BELOW: Record<string, readonly [lines: number, branches: number, why: string]> = {
  'lib/cli/main.ts': [0, 0, 'runs in a process of its own'],
  'lib/cli/progress.ts': [75, 50, 'shows itself in that process only'],
  'lib/cluster/anteroom.ts': [70, 30, 'servers that change: test:all'],
  'lib/cluster/changing-cluster.ts': [60, 30, 'servers that change: test:all'],
  'lib/cluster/leaver.ts': [0, 0, 'servers that change: test:all'],
  'lib/cluster/server-list.ts': [80, 50, 'servers that change: test:all'],
  'lib/storage/moved-sessions.ts': [15, 0, 'servers that change: test:all'],
}

interface Share {
  readonly total: number
  readonly covered: number
}

const folder = mkdtempSync(join(tmpdir(), 'coverage-'))
try {
  const reports = [
    '--coverage.reportOnFailure',
    '--coverage.reporter=json-summary',
    `--coverage.reportsDirectory=${folder}`,
  ]
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--coverage', ...reports]
  const { status } = spawnSync(process.execPath, vitest, { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
  judge(JSON.parse(readFileSync(join(folder, 'coverage-summary.json'), 'utf8')))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function judge({ total, ...files }: Record<string, { lines: Share; branches: Share }>): void {
  for (const [path, shares] of Object.entries(files)) {
    const file = relative(ROOT, path)
    const [lines, branches] = BELOW[file] ?? [FLOOR, FLOOR]
    for (const [kind, floor] of [
      ['lines', lines],
      ['branches', branches],
    ] as const) {
      const { total, covered } = shares[kind]
      if (total - covered <= SPARE || (100 * covered) / total >= floor) continue
      console.log(`${file}: ${covered} of ${total} ${kind}, and should be ${floor} %`)
      process.exitCode = 1
    }
  }
  if (total !== undefined) console.log(`lines: ${percent(total.lines)}, branches: ${percent(total.branches)}`)
}

function percent({ total, covered }: Share): string {
  return `${((100 * covered) / total).toFixed(1)} %`
}
