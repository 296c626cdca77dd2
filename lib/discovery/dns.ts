import { promises } from 'node:dns'
import { addressOf, parseEndpoint } from './endpoint.ts'

/** Options of `dns`. All have defaults; `undefined` is the same as leaving one out. */
export interface DnsOptions {
  /**
   * The name servers to ask, such as `127.0.0.1:8600`.
   *
   * @defaultValue the system's
   */
  nameServers?: readonly string[] | undefined

  /**
   * Milliseconds that one try may take. There are four.
   *
   * @defaultValue 1000
   */
  timeout?: number | undefined
}

/** What a name server says where a name has no addresses of this kind. */
const NONE = new Set(['ENODATA', 'ENOTFOUND'])

/**
 * For the option `servers`: every address of a name, sorted, each with this port. Such as those of a headless service
 * of Kubernetes, `dns('memcached.default.svc.cluster.local:11211')`. The name must be whole: no search domain is
 * tried, and `/etc/hosts` is not read. IPv6 addresses are given where there is no IPv4, since a server with both is one.
 *
 * Sessions are placed by these addresses, so a server that comes back under another one has all its sessions moved:
 * where servers have names that stay, as those of a StatefulSet do, name these instead.
 *
 * The function fails where the name has no address, and where no name server answers.
 *
 * @param endpoint - `name:port`; the port is 11211 unless given.
 * @throws TypeError - for an endpoint that is none.
 */
export function dns(endpoint: string, options: DnsOptions = {}): () => Promise<string[]> {
  const { nameServers, timeout = 1000 } = options
  const { host, port } = parseEndpoint(endpoint)
  const resolver = new promises.Resolver({ timeout, tries: 4 })
  if (nameServers !== undefined) resolver.setServers(nameServers)
  return async () => {
    const addresses = (await found(resolver.resolve4(host))) ?? (await found(resolver.resolve6(host)))
    if (addresses === null) throw new Error(`\`${host}\` has no address`)
    return [...new Set(addresses)].sort().map(address => addressOf(address, port))
  }
}

/** Null where there are none. */
async function found(addresses: Promise<string[]>): Promise<string[] | null> {
  try {
    const all = await addresses
    return all.length === 0 ? null : all
  } catch (error) {
    if (NONE.has((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
}
