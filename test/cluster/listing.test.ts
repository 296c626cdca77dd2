import { describe, expect, test } from 'vitest'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { Changing, counting, movedBetween } from './changing.ts'

const SIDS = Array.from({ length: 1000 }, (_, number) => `session-${number}`)

/** Three servers, the last of them behind a proxy, and the sessions that lie on the other two. */
class Leaving implements AsyncDisposable {
  readonly proxy: TcpProxy
  readonly changing: Changing
  readonly two: readonly string[]
  readonly staying: readonly string[]
  readonly #servers: readonly Memcached[]

  private constructor(servers: readonly Memcached[], proxy: TcpProxy, timeout: number) {
    const [one, other] = servers as [Memcached, Memcached]
    this.#servers = servers
    this.proxy = proxy
    this.two = [one.address, other.address]
    const three = [...this.two, proxy.address]
    const moved = new Set(movedBetween(three, this.two, SIDS))
    this.staying = SIDS.filter(sid => !moved.has(sid))
    this.changing = new Changing(() => three, { timeout })
  }

  /** @param timeout - after two of these the connection to a server that has left is closed. */
  static async start(timeout: number): Promise<Leaving> {
    const servers = await Promise.all([1, 2, 3].map(() => Memcached.start()))
    const leaving = new Leaving(servers, await TcpProxy.start(servers[2]?.address as string), timeout)
    const { store } = leaving.changing
    await Promise.all(SIDS.map(sid => store.set(sid, counting(1))))
    return leaving
  }

  /** The last server leaves the list, and is stopped then. */
  async stop(): Promise<void> {
    await this.changing.become(this.two)
    await this.#servers[2]?.kill()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.changing[Symbol.asyncDispose]()
    await this.proxy[Symbol.asyncDispose]()
    await Promise.all(this.#servers.map(one => one.kill()))
  }
}

describe.skipIf(!hasMemcached)('a server leaves while its sessions are listed', () => {
  test('the listing ends with those of the others, each once, however slow it is', async () => {
    await using leaving = await Leaving.start(1500)
    const { changing, proxy, staying, two } = leaving
    const seen: string[] = []
    for await (const { sid } of changing.store.sessions()) {
      seen.push(sid)
      if (seen.length > 1) continue
      await changing.become(two)
      await until(() => proxy.open === 0)
    }
    expect(seen.length).toBe(new Set(seen).size)
    expect(staying.filter(sid => !seen.includes(sid))).toEqual([])
    expect((await changing.store.ids()).sort()).toEqual([...staying].sort())
  })

  test('one that is stopped then fails nobody', async () => {
    await using leaving = await Leaving.start(5000)
    const { changing, proxy, staying } = leaving
    const { store } = changing
    proxy.hold()
    const listed = [store.ids(), store.length(), store.all()] as const
    await leaving.stop()
    const [ids, length, all] = await Promise.all(listed)
    expect([...ids].sort()).toEqual([...staying].sort())
    expect(length).toBe(staying.length)
    expect(all.map(({ id }) => id).sort()).toEqual([...staying].sort())
  })

  test('nor who clears them', async () => {
    await using leaving = await Leaving.start(5000)
    const { changing, proxy } = leaving
    proxy.hold()
    const cleared = changing.store.clear()
    await leaving.stop()
    await cleared
    expect(await changing.store.getMany(SIDS)).toEqual(new Map())
  })

  test('one that answers finishes', async () => {
    await using leaving = await Leaving.start(5000)
    const { changing, proxy, two } = leaving
    proxy.hold()
    const listed = changing.store.ids()
    await changing.become(two)
    await proxy.pass()
    expect((await listed).sort()).toEqual([...SIDS].sort())
  })

  test('one that has only got another password is not taken for gone', async () => {
    await using leaving = await Leaving.start(1500)
    const { changing, proxy, two } = leaving
    const listing = async (): Promise<void> => {
      let count = 0
      for await (const _ of changing.store.sessions()) {
        if (count++ > 0) continue
        changing.answer = () => [...two, `memcached+text://${proxy.address}`]
        await until(() => proxy.open === 0)
      }
    }
    await expect(listing()).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
      message: /connected to anew while it was listed/,
    })
  })
})
