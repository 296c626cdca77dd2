/**
 * Runs all fault tests so many times in a row and stops at the first failure:
 * `npm run test:faults -- --repeat 20`. Further arguments go to vitest.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  options: { repeat: { type: 'string', default: '1' } },
  allowPositionals: true,
})
const times = Number(values.repeat)
if (!Number.isInteger(times) || times < 1)
  throw new TypeError(`Expected --repeat to be a count, got ${values.repeat}`)

const files = positionals.length > 0 ? positionals : ['test/faults/']
const vitest = ['vitest', 'run', '--config=vitest.all.config.ts', ...files]
for (let run = 1; run <= times; run++) {
  console.log(`Run ${run} of ${times}`)
  const { status } = spawnSync('npx', vitest, { stdio: 'inherit' })
  if (status !== 0) {
    console.error(`Failed in run ${run} of ${times}`)
    process.exit(status ?? 1)
  }
}
console.log(`Passed ${times} times in a row`)
