import type { MemcachedNode } from '../memcached/node.ts'

/**
 * A server that has left the list. What is under way on it ends; then its connection is closed, and opened again
 * only where something that still lies there is to be removed.
 */
export class Leaver {
  readonly #open: () => MemcachedNode
  /** Milliseconds in which whatever is asked of it has ended. */
  readonly #patience: number
  #node: MemcachedNode | null
  #timer: NodeJS.Timeout

  constructor(node: MemcachedNode, open: () => MemcachedNode, patience: number) {
    this.#node = node
    this.#open = open
    this.#patience = patience
    this.#timer = this.#closeLater()
  }

  get node(): MemcachedNode {
    if (this.#node === null) {
      this.#node = this.#open()
      this.#timer = this.#closeLater()
    } else {
      this.#timer.refresh()
    }
    return this.#node
  }

  get hasConnection(): boolean {
    return this.#node !== null
  }

  isConnectedBy(node: MemcachedNode): boolean {
    return this.#node === node
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    const node = this.#node
    this.#node = null
    await node?.close()
  }

  #closeLater(): NodeJS.Timeout {
    return setTimeout(() => void this.close(), this.#patience).unref()
  }
}
