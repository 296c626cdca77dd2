import { beforeAll, describe, expect, test } from 'vitest'
import * as discovery from '../../lib/discovery/index.ts'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { Page } from './page.ts'

describe('docs/changing-servers.md', () => {
  let page: Page
  beforeAll(async () => {
    page = await Page.read('docs/changing-servers.md')
  })

  /** Runs a snippet, and gives the options of the stores that it makes. */
  function run(
    part: string,
    fetch?: () => Promise<unknown>,
  ): { options: MemcachedStoreOptions[]; stores: MemcachedStore[] } {
    const options: MemcachedStoreOptions[] = []
    const stores: MemcachedStore[] = []
    class Shown extends MemcachedStore {
      constructor(given: MemcachedStoreOptions) {
        super(given)
        options.push(given)
        stores.push(this)
      }
    }
    const code = page.snippet('js', part).replace(/^import .*$/gm, '')
    new Function('MemcachedStore', 'dns', 'elastiCache', 'fetch', code)(
      Shown,
      () => () => 'found.by.dns',
      () => () => 'found.by.elasticache',
      fetch,
    )
    return { options, stores }
  }

  test('a function of your own', async () => {
    const server = await EmbeddedMemcached.start()
    const { stores } = run('fetch(', async () => ({ json: async () => [server.address] }))
    await using store = stores[0] as MemcachedStore
    expect((await store.stats()).servers).toMatchObject([{ address: server.address, reachable: true }])
    await server.stop()
  })

  test('discovery', async () => {
    const { options, stores } = run('elastiCache(')
    const found = options.map(({ servers }) => (servers as () => string)())
    expect(found).toEqual(['found.by.elasticache', 'found.by.dns'])
    const [, , first = '', , second = ''] =
      /elastiCache\((['"])(.*)\1.*dns\((['"])(.*)\3/s.exec(page.snippet('js', 'elastiCache(')) ?? []
    expect(() => [discovery.elastiCache(first), discovery.dns(second)]).not.toThrow()
    await Promise.all(stores.map(store => store.close()))
  })

  test('a StatefulSet', async () => {
    const { stores } = run('replicas')
    await using store = stores[0] as MemcachedStore
    expect(store).toBeInstanceOf(MemcachedStore)
    const { servers } = await store.stats()
    expect(servers.map(({ address }) => address)).toContain(
      'memcached-2.memcached.default.svc.cluster.local:11211',
    )
  })

  test('everything that it shows is tried', () => {
    expect(page.leftOut).toEqual([])
  })
})
