/** Packs what was built and looks at it as a package: publint, attw, size. `npm run check:package` */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Bytes. What grows beyond them should be meant to. */
const MAX_PACKED = 700 * 1024
const MAX_UNPACKED = 2.5 * 1024 ** 2

interface Packed {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly entryCount: number
}

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}:\n${stdout}${stderr}`)
  return stdout
}

const folder = mkdtempSync(join(tmpdir(), 'packed-'))
try {
  const answer = run('npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder)
  const [packed] = JSON.parse(answer) as [Packed]
  const tarball = join(folder, packed.filename)
  console.log(run('npx', '--no-install', 'publint', '--strict', tarball))
  console.log(run('npx', '--no-install', 'attw', '--no-emoji', tarball))
  for (const [what, size, most] of [
    ['packed', packed.size, MAX_PACKED],
    ['unpacked', packed.unpackedSize, MAX_UNPACKED],
  ] as const) {
    console.log(`${what}: ${kB(size)} of at most ${kB(most)}`)
    if (size > most) process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true })
}

function kB(bytes: number): string {
  return `${Math.ceil(bytes / 1024).toLocaleString('en')} kB`
}
