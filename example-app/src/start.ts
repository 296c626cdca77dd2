/** What `npm start` runs: builds the package where that is needed, then runs the app on it, in this process. */
import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const SOURCES = ['lib', 'package.json', 'tsdown.config.ts']
const BUILT = ['dist/index.js', 'dist/embedded.js']

if (isStale()) {
  console.log('Building the package …')
  try {
    execFileSync(process.execPath, [fileURLToPath(import.meta.resolve('tsdown/run'))], {
      cwd: ROOT,
      stdio: 'pipe',
    })
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: Buffer; stderr?: Buffer }
    console.error(`${stdout ?? ''}${stderr ?? ''}`)
    process.exit(1)
  }
}
await import('./main.ts')

function isStale(): boolean {
  const oldest = Math.min(...BUILT.map(changed))
  return SOURCES.some(path => newest(path) > oldest)
}

function newest(path: string): number {
  const entries = statSync(ROOT + path).isDirectory() ? readdirSync(ROOT + path) : []
  return Math.max(changed(path), ...entries.map(entry => newest(`${path}/${entry}`)))
}

/** Milliseconds since 1970; 0 for what is not there. */
function changed(path: string): number {
  return statSync(ROOT + path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
