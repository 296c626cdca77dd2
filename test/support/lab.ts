import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { Memcached } from './memcached.ts'
import { TcpProxy } from './proxy.ts'
import { Operations } from './settle.ts'

/** Milliseconds that the lab's stores wait for an answer. */
export const TIMEOUT = 250

/** A store, and its way through a proxy to a memcached of its own. */
export class Lab implements AsyncDisposable {
  readonly memcached: Memcached
  readonly proxy: TcpProxy
  readonly store: MemcachedStore
  readonly operations: Operations

  private constructor(memcached: Memcached, proxy: TcpProxy, options: MemcachedStoreOptions) {
    this.memcached = memcached
    this.proxy = proxy
    // Every touch costs a round trip, so that it can meet a fault.
    const settings = { servers: proxy.address, timeout: TIMEOUT, touchAfter: 0, ...options }
    this.store = new MemcachedStore(settings)
    this.operations = new Operations(this.store, settings.timeout ?? TIMEOUT)
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
    this.operations[Symbol.dispose]()
    await this.store.close()
    await this.proxy[Symbol.asyncDispose]()
    await this.memcached.kill()
  }
}
