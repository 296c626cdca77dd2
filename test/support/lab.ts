import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { Memcached } from './memcached.ts'
import { TcpProxy } from './proxy.ts'
import { Operations } from './settle.ts'

/** Milliseconds that the lab's stores wait for an answer. */
export const TIMEOUT = 250

/** For tests in which operations are to succeed, so that a busy machine is no fault. */
export const PATIENT = { timeout: 1000 }

/** A store, and the operations that watch it. */
export interface Watched extends AsyncDisposable {
  readonly store: MemcachedStore
  readonly operations: Operations
}

export function withStore(servers: string | string[], options: MemcachedStoreOptions = {}): Watched {
  // Every touch costs a round trip, so that it can meet a fault.
  const store = new MemcachedStore({ servers, timeout: TIMEOUT, touchAfter: 0, ...options })
  const operations = new Operations(store, options.timeout ?? TIMEOUT)
  return {
    store,
    operations,
    async [Symbol.asyncDispose]() {
      await operations[Symbol.asyncDispose]().finally(() => store.close())
    },
  }
}

/** A store, and its way through a proxy to a memcached of its own. */
export class Lab implements Watched {
  readonly memcached: Memcached
  readonly proxy: TcpProxy
  readonly store: MemcachedStore
  readonly operations: Operations
  readonly #watched: Watched

  private constructor(memcached: Memcached, proxy: TcpProxy, options: MemcachedStoreOptions) {
    this.memcached = memcached
    this.proxy = proxy
    this.#watched = withStore(proxy.address, options)
    this.store = this.#watched.store
    this.operations = this.#watched.operations
  }

  static async start(options: MemcachedStoreOptions = {}): Promise<Lab> {
    const memcached = await Memcached.start()
    return new Lab(memcached, await TcpProxy.start(memcached.address), options)
  }

  /** Brings the store into the state of one that has worked for a while. */
  async warmUp(): Promise<void> {
    await this.operations.burst(20, 'warm')
    await this.operations.settled()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#watched[Symbol.asyncDispose]()
    } finally {
      await this.proxy[Symbol.asyncDispose]()
      await this.memcached.kill()
    }
  }
}
