import type { Settings } from '../options.ts'
import { ClientNode } from './client-node.ts'
import { MemjsNode } from './memjs-node.ts'
import type { MemcachedNode } from './node.ts'
import { Server } from './server.ts'

/**
 * A node for each server of the options, or one for the client that was given.
 *
 * @param onChange - told when all servers have become unreachable (false), and when one is back (true).
 */
export function createNodes(settings: Settings, onChange: (reachable: boolean) => void): MemcachedNode[] {
  const { servers, client, tls, timeout, maxItemSize } = settings
  if (client !== undefined) return [new ClientNode(client, timeout)]
  const down = new Set<string>()
  let reachable: boolean | undefined
  const note = (now: boolean): void => {
    if (now === reachable) return
    reachable = now
    onChange(now)
  }
  return servers.map(address => {
    const server = new Server({
      address,
      tls,
      timeout,
      maxItemSize,
      onChange(up) {
        if (up) down.delete(address.name)
        else down.add(address.name)
        if (up) note(true)
        else if (down.size === servers.length) note(false)
      },
    })
    return new MemjsNode(address.name, server)
  })
}
