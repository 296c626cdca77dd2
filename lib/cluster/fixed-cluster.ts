import type { MemcachedNode } from '../memcached/node.ts'
import type { Cluster, ServersNow } from './cluster.ts'
import { Ring } from './ring.ts'
import { askServers, type ServerStats, type UnreachableServer } from './server-stats.ts'

/** Servers that are always the same. */
export class FixedCluster implements Cluster, ServersNow {
  readonly moves = null
  readonly nodes: readonly MemcachedNode[]
  readonly #ring: Ring

  constructor(nodes: readonly MemcachedNode[], ring: Ring = new Ring(nodes.map(node => node.address))) {
    this.nodes = nodes
    this.#ring = ring
  }

  home(key: string): MemcachedNode {
    return this.nodes[this.#ring.home(key)] as MemcachedNode
  }

  async now(): Promise<FixedCluster> {
    return this
  }

  statistics(): Promise<(ServerStats | UnreachableServer)[]> {
    return askServers(this.nodes)
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map(node => node.close()))
  }
}
