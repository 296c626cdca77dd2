import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { programOf } from '../support/programs.ts'

/** Runs a program of this folder and gives what it printed. It has to end by itself, and well. */
export async function runChild(file: string, ...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [programOf(new URL(file, import.meta.url)), ...args], {
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
