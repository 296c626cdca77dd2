import { once } from 'node:events'
import { createServer } from 'node:net'

/** Nobody listens there: only root may, and no program of ours does. */
export const NOBODY = '127.0.0.1:1'

/** Below what systems give to those who ask for any port: Linux from 32768, others from 49152 on. */
const FIRST = 20_000
/** Ports of each process of tests, of which so many run side by side at most. */
const SHARE = 1500
const PROCESSES = 8
const own = FIRST + SHARE * (Number(process.env.VITEST_POOL_ID ?? 0) % PROCESSES)
let next = Math.floor(Math.random() * SHARE)

/**
 * A port for who has to name one, or ends and comes back: while nobody listens there, none of the hundreds
 * of servers that tests start beside it gets it, neither by asking for any port nor by this.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = own + (next++ % SHARE)
    const probe = createServer().listen(port, '127.0.0.1')
    try {
      await once(probe, 'listening')
    } catch {
      continue
    }
    await once(probe.close(), 'close')
    return port
  }
  throw new Error(`None of 100 ports between ${own} and ${own + SHARE} is free`)
}
