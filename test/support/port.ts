import { once } from 'node:events'
import { createServer } from 'node:net'

/** Nobody listens there: only root may, and no program of ours does. */
export const NOBODY = '127.0.0.1:1'

/** Below what systems give to those who ask for any port: Linux from 32768, others from 49152 on. */
const [FIRST, LAST] = [20_000, 32_000]

/**
 * A port for who has to name one, or ends and comes back: while nobody listens there, it is given to
 * none of the hundreds of servers that tests beside this one start on any port.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    const probe = createServer().listen(port, '127.0.0.1')
    try {
      await once(probe, 'listening')
    } catch {
      continue
    }
    await once(probe.close(), 'close')
    return port
  }
  throw new Error(`No port is free of 100 between ${FIRST} and ${LAST}`)
}
