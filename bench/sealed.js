// What do encryption, compression and hashed ids cost?

import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto'
import { median, medianRatio } from './lib/measure.js'
import { alternate, start, stop } from './lib/rounds.js'
import { newSession } from './lib/sessions.js'
import { number, spread, table, targets } from './lib/table.js'

/** @typedef {import('./lib/measure.js').Measured} Measured */

export const title = 'Sealed sessions'

const ROUNDS = 7
const NAMES = ['ours', 'encrypted', 'compressed', 'both', 'both, hashed ids']
const TASKS = { get: '`store.get`', save: '`store.set` of a session that was read and changed' }
/** Of sessions, in bytes; and how many operations make a round. */
const SIZES = [
  { bytes: 361, operations: 8_192 },
  { bytes: 4_096, operations: 2_048 },
  { bytes: 65_536, operations: 512 },
]

/** @param {import('./run.js').Context} context @returns {Promise<import('./run.js').Section>} */
export async function run({ servers }) {
  const floor = floorOf(SIZES[0].bytes)
  const blocks = [
    `64 in flight, each way in a process of its own; CPU of that process in µs per operation, threads for compression
included: medians of ${ROUNDS} alternating rounds, and in brackets the least and the most. "Of plain" is the median of
the ratios of each round. \`compress: true\` leaves sessions under 2,048 bytes as they are.

\`node:crypto\` alone takes ${number(floor.seal)} µs to seal ${SIZES[0].bytes} bytes (\`createCipheriv\`, \`setAAD\`, \`update\`,
\`final\`, \`getAuthTag\`; a drawn nonce), and ${number(floor.open)} µs to open them: the floor of any store in JavaScript.`,
  ]
  const wanted = []
  for (const { bytes, operations } of SIZES) {
    const workers = await start('worker.js', NAMES, servers)
    try {
      await Promise.all(workers.map(worker => worker.run('prepare', { bytes, count: 256 })))
      for (const [task, what] of Object.entries(TASKS)) {
        const results = await alternate(workers, ROUNDS, worker =>
          worker.run(task, { operations, inFlight: 64 }),
        )
        const plain = cpu(results.ours)
        const rows = Object.entries(results).map(([name, rounds]) => [
          name === 'ours' ? 'plain' : name,
          spread(cpu(rounds)),
          medianRatio(cpu(rounds), plain).toFixed(2),
        ])
        blocks.push(`### ${what}, ${number(bytes)} bytes`, table(['', 'CPU, µs', 'of plain'], rows))
        if (bytes > SIZES[0].bytes) continue
        wanted.push({
          what: `${task}, encrypted, of plain`,
          measured: medianRatio(cpu(results.encrypted), plain),
          atMost: 1.6,
        })
        const limit = (median(plain) + (task === 'get' ? floor.open : floor.seal)) / median(plain)
        blocks.push(`Plain, and \`node:crypto\` alone on top, would be ${limit.toFixed(2)} of plain.`)
      }
    } finally {
      stop(workers)
    }
  }
  blocks.push('### What was aimed at', targets(wanted))
  return { title, blocks, charts: {} }
}

/** @param {Measured[]} rounds */
function cpu(rounds) {
  return rounds.map(({ cpu }) => cpu)
}

/** CPU of `node:crypto` alone, in µs. @param {number} bytes */
function floorOf(bytes) {
  const key = createSecretKey(randomBytes(32))
  const nonce = randomBytes(12)
  const context = Buffer.from(`0000sess:${'x'.repeat(32)}`)
  const text = JSON.stringify(newSession(bytes, 1))
  const options = { authTagLength: 16 }
  const seal = () => {
    const cipher = createCipheriv('aes-256-gcm', key, nonce, options)
    cipher.setAAD(context)
    const hidden = cipher.update(text, 'utf8')
    cipher.final()
    return { hidden, tag: cipher.getAuthTag() }
  }
  const { hidden, tag } = seal()
  const open = () => {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, options)
    decipher.setAAD(context)
    decipher.setAuthTag(tag)
    const value = decipher.update(hidden)
    decipher.final()
    return value.toString()
  }
  return { seal: perCall(seal), open: perCall(open) }
}

/** @param {() => unknown} call */
function perCall(call) {
  const calls = 20_000
  const rounds = []
  for (let round = 0; round < 8; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < calls; i++) call()
    const { user, system } = process.cpuUsage(before)
    // The first only warms up.
    if (round > 0) rounds.push((user + system) / calls)
  }
  return median(rounds)
}
