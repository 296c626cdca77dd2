import { once } from 'node:events'
import type { Server } from 'node:http'
import type { MemcachedStore } from 'express-session-memcached'
import { createApp } from './app.ts'
import type { Durable } from './durable/durable.ts'
import type { Address } from './environment.ts'
import { networkAddress } from './reach/network.ts'
import { isLocal, isOpen } from './reach/reach.ts'
import type { Servers } from './servers.ts'

/** How long requests may take to end before they are cut off. */
const GRACE = 2000

export interface Serving {
  /** For a browser on this computer. */
  readonly url: string
  /** For other devices, where they can reach it. */
  readonly urlForOthers: string | undefined
  /** Requests end, then connections to memcached. */
  close(): Promise<void>
}

interface What {
  readonly store: MemcachedStore
  readonly secret: string
  readonly servers: Servers
  readonly durable?: Durable | undefined
  readonly publicUrl?: string | undefined
}

/** Says which command fits another port. */
type Advise = (port: number) => string

/** Runs the app on a port. @throws Error - with a message for people. */
export async function serve(
  { publicUrl, ...what }: What,
  { port, host }: Address,
  advise: Advise,
): Promise<Serving> {
  const reach = { isOpen: isOpen(host), publicUrl }
  const server = createApp({ ...what, reach }).listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    await what.store.close()
    throw new Error(explain(error as NodeJS.ErrnoException, { port, host }, advise))
  }
  const urlOf = (name: string): string => `http://${name}:${portOf(server) ?? port}`
  const name = host.includes(':') ? `[${host}]` : host
  const network = reach.isOpen ? networkAddress() : undefined
  return {
    // One name for this computer: another one would be another site to the browser, with cookies of its own.
    url: urlOf(isLocal(name) ? 'localhost' : name),
    urlForOthers: publicUrl ?? (network && urlOf(network)),
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), GRACE)
      await closed
      clearTimeout(timer)
      await what.store.close()
    },
  }
}

function explain(error: NodeJS.ErrnoException, { port, host }: Address, advise: Advise): string {
  if (error.code === 'EADDRINUSE')
    return `Port ${port} is taken: another copy of this app, perhaps. Choose another one: ${advise(port + 1)}`
  if (error.code === 'EACCES')
    return `Port ${port} may not be used by this user. Choose one from 1024: ${advise(3000)}`
  return `Cannot listen on ${host}:${port}: ${error.message}`
}

function portOf(server: Server): number | undefined {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : undefined
}
