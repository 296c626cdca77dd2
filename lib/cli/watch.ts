import { setTimeout as sleep } from 'node:timers/promises'
import type { Terminal } from './progress.ts'

/** Milliseconds between two looks, at least. */
const REST = 2000
/** Times as long as a look took: a server with many keys is to have some peace. */
const RESTS = 9
/** To the upper left; clear to the end of a line; clear what is below (ECMA-48: CUP, EL, ED). */
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'

/** What one look gave. */
export interface Look {
  readonly text: string
  readonly code: number
}

/**
 * Looks again and again, and shows what it sees over what it saw; where nobody looks at a terminal, below.
 * Ends when it is told to, after the look that is under way: memcached does not like to be left in the middle
 * of a list of keys.
 *
 * @param rest - milliseconds between two looks, at least.
 * @returns the exit code of the last look.
 */
export async function watch(
  look: () => Promise<Look>,
  terminal: Terminal,
  signal: AbortSignal,
  rest: number = REST,
): Promise<number> {
  for (;;) {
    const began = performance.now()
    const { text, code } = await look()
    const shown = `${new Date().toLocaleTimeString()}, every ${rest / 1000} s; Ctrl-C ends\n\n${text}`
    terminal.write(terminal.isTTY === true ? drawn(shown) : `${shown}\n`)
    const took = performance.now() - began
    // Ends early, with an error, where it is aborted.
    await sleep(Math.max(rest, RESTS * took), undefined, { signal }).catch(() => {})
    if (signal.aborted) return code
  }
}

function drawn(text: string): string {
  return HOME + text.replaceAll('\n', `${CLEAR_LINE}\n`) + CLEAR_BELOW
}
