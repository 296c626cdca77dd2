import { expect } from 'vitest'
import type { MemcachedStoreOptions } from '../../lib/index.ts'
import { Memcached } from '../support/memcached.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { type AnySession, TwoStores } from './two-stores.ts'

/** Stores behind a proxy, and a memcached of their own. */
export class World implements AsyncDisposable {
  readonly memcached: Memcached
  readonly proxy: TcpProxy
  readonly stores: TwoStores

  private constructor(memcached: Memcached, proxy: TcpProxy, options: MemcachedStoreOptions) {
    this.memcached = memcached
    this.proxy = proxy
    this.stores = new TwoStores(
      { servers: proxy.address, timeout: 300, touchAfter: 0, ...options },
      { servers: memcached.address, timeout: 5000 },
    )
  }

  static async start(options: MemcachedStoreOptions = {}): Promise<World> {
    const memcached = await Memcached.start()
    return new World(memcached, await TcpProxy.start(memcached.address), options)
  }

  /** Saves while memcached is stopped: it is told to have failed, and is applied when memcached goes on. */
  async saveInVain(live: AnySession, sid: string): Promise<void> {
    await this.memcached.freeze()
    await expect(this.stores.here.set(sid, live)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
    this.memcached.thaw()
    await this.recovered()
  }

  /** The request reaches memcached, or does not; its reply does not come. */
  async loseSave(live: AnySession, sid: string, isApplied: boolean): Promise<void> {
    if (isApplied) this.proxy.loseNextReply('silence')
    else this.proxy.silence()
    await expect(this.stores.here.set(sid, live)).rejects.toMatchObject({ status: 503 })
    await this.recovered()
  }

  /** Ends every fault, and waits until the store serves again. */
  async recovered(): Promise<void> {
    await this.proxy.pass()
    this.proxy.cutNow('reset')
    await until(() =>
      this.stores.here.get('recovered').then(
        () => true,
        () => false,
      ),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stores[Symbol.asyncDispose]()
    await this.proxy[Symbol.asyncDispose]()
    await this.memcached.kill()
  }
}
