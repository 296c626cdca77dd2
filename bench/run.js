// npm run bench            all of it, into RESULTS.md and charts/
// npm run bench -- NAME    one of it, to the terminal (with --save: its part of RESULTS.md too)
// npm run soak             the one that is not part of it: --minutes N, --seed N; --changing: servers that come and
//                          go, --every N seconds

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/**
 * @typedef {object} Context
 * @property {import('./lib/servers.js').Servers} servers
 * @property {number} minutes of the soak
 * @property {number} seed of the soak
 * @property {boolean} changing does the soak change the servers, instead of harming one?
 * @property {number} every seconds after which it does
 *
 * @typedef {object} Section what a benchmark found
 * @property {string} title
 * @property {string[]} blocks paragraphs and tables, in Markdown
 * @property {Record<string, string>} charts SVG by name
 * @property {boolean} [failed] when something was found that must not be
 */

const NAMES = ['wire', 'operations', 'http', 'overlap', 'sealed', 'growth', 'faults', 'backing', 'size']
const HERE = fileURLToPath(new URL('.', import.meta.url))
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESULTS = `${HERE}RESULTS.md`

const { values, positionals } = parseArgs({
  options: {
    save: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '20' },
    changing: { type: 'boolean', default: false },
    every: { type: 'string', default: '30' },
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
  },
  allowPositionals: true,
})
const unknown = positionals.find(name => name !== 'soak' && !NAMES.includes(name))
if (unknown !== undefined) {
  console.error(`No benchmark is called ${unknown}; there are ${NAMES.join(', ')} and soak.`)
  process.exit(1)
}
const names = positionals.length > 0 ? positionals : NAMES
/** How busy the machine was with other things. */
const load = loadavg()[0].toFixed(2)
const save = positionals.length === 0 || values.save

if (!existsSync(`${HERE}node_modules`)) npm(['ci', '--no-audit', '--no-fund'], HERE)
// A build of its own: one that somebody else makes meanwhile must not change what is measured.
npm(['exec', '--', 'tsdown', '--out-dir', 'bench/dist', '--no-dts', '--log-level', 'warn'], ROOT)

const { startServers, stopServers, describe } = await import('./lib/servers.js')
const { servers, missing } = await startServers()
const { changing } = values
const [minutes, seed, every] = [values.minutes, values.seed, values.every].map(Number)
const context = { servers, minutes, seed, changing, every }
try {
  if (missing.length > 0)
    console.log(`Not on this machine, so their rows are left out: ${missing.join(', ')}.\n`)
  for (const name of names) {
    const began = Date.now()
    try {
      /** @type {Section} */
      const section = await (await import(`./${name}.js`)).run(context)
      console.log(`## ${section.title}\n\n${section.blocks.join('\n\n')}\n`)
      if (section.failed) process.exitCode = 1
      if (save) write(section, machine())
    } catch (error) {
      console.error(`${name} broke off:`, error)
      process.exitCode = 1
    }
    console.log(`(${name}: ${Math.round((Date.now() - began) / 1000)} s)\n`)
  }
} finally {
  await stopServers(servers)
}

/** @param {string[]} args @param {string} cwd */
function npm(args, cwd) {
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed in ${cwd}:\n${stdout}${stderr}`)
}

/** What was measured, and on what. */
function machine() {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim()
  const model = cpus()[0]?.model ?? 'unknown processor'
  return `${new Date().toISOString().slice(0, 10)}, commit ${commit}: ${cpus().length} cores (${model}), \
${Math.round(totalmem() / 2 ** 30)} GiB, Linux, Node ${process.version}, ${describe(servers)}. \
${missing.length > 0 ? `Not there: ${missing.join(', ')}. ` : ''}Load average before: ${load}.`
}

/** Writes its part of the results; the others stay as they are. @param {Section} section @param {string} machine */
function write({ title, blocks, charts }, machine) {
  mkdirSync(`${HERE}charts`, { recursive: true })
  const before = existsSync(RESULTS)
    ? readFileSync(RESULTS, 'utf8')
        .split(/^(?=## )/m)
        .slice(1)
    : []
  const parts = new Map(before.map(part => [part.slice(3, part.indexOf('\n')), part]))
  const pictures = Object.keys(charts).map(name => `![${title}](charts/${name}.svg)`)
  parts.set(title, [`## ${title}`, ...pictures, ...blocks, `_${machine}_`].join('\n\n').concat('\n\n'))
  for (const [name, svg] of Object.entries(charts)) writeFileSync(`${HERE}charts/${name}.svg`, svg)
  const head =
    '# Results\n\nMade by `npm run bench`; how it is measured is said in [README.md](README.md).\n\n'
  writeFileSync(
    RESULTS,
    head +
      [...parts.values()]
        .map(part => part.trimEnd())
        .join('\n\n')
        .concat('\n'),
  )
}
