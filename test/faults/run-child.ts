import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/**
 * Node itself runs TypeScript where it can. With tsx, Node 24 and 26 lose an exception now and then that was
 * thrown in `process.nextTick`: the callback has been called, and `uncaughtException` does not hear of it.
 */
const LOADER = 'typescript' in process.features && process.features.typescript ? [] : ['--import', 'tsx']

/** Runs a TypeScript program of this folder and gives what it printed. It has to end by itself, and well. */
export async function runChild(file: string, ...args: string[]): Promise<string> {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(process.execPath, [...LOADER, path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const watchdog = setTimeout(() => child.kill('SIGKILL'), 25_000)
  let output = ''
  child.stdout.on('data', chunk => {
    output += chunk
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  clearTimeout(watchdog)
  if (signal !== null) throw new Error(`${file} did not end by itself; it had printed: ${output}`)
  if (code !== 0) throw new Error(`${file} ended with ${code}; it had printed: ${output}`)
  return output
}
