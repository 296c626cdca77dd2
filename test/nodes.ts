/**
 * Runs the tests on other versions of Node, which npm brings, and prints a line for each:
 * `npm run test:nodes`, `npm run test:nodes -- --all 24 26`. What failed is printed whole.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  options: { all: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const versions = positionals.length > 0 ? positionals : ['20', '22', '24', '26']
const vitest = [
  'node_modules/vitest/vitest.mjs',
  'run',
  ...(values.all ? ['--config=vitest.all.config.ts'] : []),
]

// As before `npm run test:all`.
if (values.all) execFileSync('npm', ['run', 'build'], { stdio: 'inherit' })
for (const version of versions) {
  const began = performance.now()
  const find = ['-y', '-p', `node@${version}`, 'node', '-p', 'process.execPath']
  const node = execFileSync('npx', find, { encoding: 'utf8' }).trim()
  // By itself, and first in the path, rather than under npx, whose settings the tests' own npx would take up.
  const { status, stdout, stderr } = spawnSync(node, vitest, {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', PATH: `${dirname(node)}:${process.env.PATH}` },
    maxBuffer: 2 ** 28,
  })
  const counts = /^ *Tests +(.*)$/m.exec(stdout)?.[1] ?? 'no tests ran'
  console.log(`Node ${version}: ${counts}, ${Math.round((performance.now() - began) / 1000)} s`)
  if (status !== 0) {
    console.log(stdout, stderr)
    process.exitCode = 1
  }
}
