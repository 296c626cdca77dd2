import { answers } from './memcached/ask.ts'
import { Daemon } from './memcached/daemon.ts'
import { Embedded } from './memcached/embedded.ts'
import type { OwnServer } from './memcached/own-server.ts'

/** The memcached servers that the sessions are in. */
export interface Servers {
  /** As the store's option `servers` takes them. */
  readonly addresses: readonly string[]
  /** For people: which these are, and what becomes of the sessions when the app ends. */
  readonly description: string
  /** Those that the app started itself. */
  readonly own: readonly OwnServer[]
  /** Ends those that the app started. */
  close(): Promise<void>
}

const USUAL = 'localhost:11211'

/** The servers that are named, else one that answers at the usual place, else one of our own. */
export async function findServers(env: NodeJS.ProcessEnv): Promise<Servers> {
  const named = env.MEMCACHED_SERVERS?.trim() ?? ''
  if (named !== '')
    return others(
      named
        .split(',')
        .map(address => address.trim())
        .filter(address => address !== ''),
      `memcached on ${withoutPassword(named)}, as MEMCACHED_SERVERS says.`,
    )
  if (await answers(USUAL))
    return others([USUAL], `memcached on ${USUAL}. Restart this app: the sessions stay.`)
  const daemon = await Daemon.start()
  if (daemon !== undefined)
    return owned(
      [daemon],
      `memcached on ${daemon.address}, started by this app because none answered on ${USUAL}. It is stopped with the app, and its sessions end with it. To see them survive a restart of the app, leave one running: memcached -d -l 127.0.0.1${asRoot()}`,
    )
  const embedded = await Embedded.start()
  return owned(
    [embedded],
    `the embedded memcached on ${embedded.address}, because this machine has no other. It is part of this app, and its sessions end with it. To see them survive a restart of the app, install memcached and leave it running.`,
  )
}

/** Servers for `--demo`: real ones where memcached is installed. */
export async function startServers(count: number): Promise<Servers> {
  const own: OwnServer[] = []
  while (own.length < count) own.push((await Daemon.start()) ?? (await Embedded.start()))
  const kind = own[0] instanceof Daemon ? 'memcached servers' : 'embedded memcached servers'
  return owned(
    own,
    `${count} ${kind} on ${own.map(server => server.address).join(', ')}, started for this demo. Their sessions end with it.`,
  )
}

function others(addresses: readonly string[], description: string): Servers {
  return { addresses, description, own: [], close: async () => {} }
}

function owned(own: readonly OwnServer[], description: string): Servers {
  return {
    addresses: own.map(server => server.address),
    description,
    own,
    close: async () => {
      await Promise.all(own.map(server => server.stop()))
    },
  }
}

function asRoot(): string {
  return process.getuid?.() === 0 ? ' -u nobody' : ''
}

function withoutPassword(addresses: string): string {
  return addresses.replace(/[^,/@]*:[^,]*@/g, '***@')
}
