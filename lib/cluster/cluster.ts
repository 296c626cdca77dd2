import type { MemcachedNode } from '../memcached/node.ts'
import { Ring } from './ring.ts'
import { askServers, type ServerStats, type UnreachableServer } from './server-stats.ts'

/** Where a session lives: every key has one home among the servers. */
export class Cluster {
  readonly nodes: readonly MemcachedNode[]
  readonly #ring: Ring

  constructor(nodes: readonly MemcachedNode[]) {
    this.nodes = nodes
    this.#ring = new Ring(nodes.map(node => node.address))
  }

  home(key: string): MemcachedNode {
    return this.nodes[this.#ring.home(key)] as MemcachedNode
  }

  /** What each server tells of itself, in the order of the option. */
  statistics(): Promise<(ServerStats | UnreachableServer)[]> {
    return askServers(this.nodes)
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map(node => node.close()))
  }
}
