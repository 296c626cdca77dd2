import { once } from 'node:events'
import type { Server } from 'node:http'
import type { MemcachedStore } from 'express-session-memcached'
import { createApp } from './app.ts'
import type { Address } from './environment.ts'
import type { Servers } from './servers.ts'

/** How long requests may take to end before they are cut off. */
const GRACE = 2000

export interface Serving {
  readonly url: string
  /** Requests end, then connections to memcached. */
  close(): Promise<void>
}

interface What {
  readonly store: MemcachedStore
  readonly secret: string
  readonly servers: Servers
}

/** Runs the app on a port. @throws Error - with a message for people. */
export async function serve({ store, secret, servers }: What, { port, host }: Address): Promise<Serving> {
  const server = createApp({ store, secret, servers }).listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    await store.close()
    throw new Error(explain(error as NodeJS.ErrnoException, { port, host }))
  }
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${portOf(server) ?? port}`,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), GRACE)
      await closed
      clearTimeout(timer)
      await store.close()
    },
  }
}

function explain(error: NodeJS.ErrnoException, { port, host }: Address): string {
  if (error.code === 'EADDRINUSE')
    return `Port ${port} is taken: another copy of this app, perhaps. Choose another one: PORT=${port + 1} npm start`
  if (error.code === 'EACCES')
    return `Port ${port} may not be used by this user. Choose one from 1024: PORT=3000 npm start`
  return `Cannot listen on ${host}:${port}: ${error.message}`
}

function portOf(server: Server): number | undefined {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : undefined
}
