import { Client } from 'memjs'
import { describe, expect, test } from 'vitest'
import { MemcachedStore, type MemjsClient } from '../../lib/index.ts'
import { PATIENT } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { isText } from '../support/protocol.ts'
import { TcpProxy } from '../support/proxy.ts'
import { Operations } from '../support/settle.ts'
import { until } from '../support/until.ts'

/** A stock memjs client has faults of its own: what the store promises for it is that no operation hangs. */
describe.skipIf(!hasMemcached || isText).concurrent('a brought memjs client (which speaks no text)', () => {
  async function start(): Promise<AsyncDisposable & { proxy: TcpProxy; operations: Operations }> {
    const memcached = await Memcached.start()
    const proxy = await TcpProxy.start(memcached.address)
    const client = Client.create(proxy.address, { logger: { log() {} } } as never)
    const store = new MemcachedStore({
      client: client as unknown as MemjsClient,
      timeout: PATIENT.timeout,
      touchAfter: 0,
    })
    const operations = new Operations(store, PATIENT.timeout)
    return {
      proxy,
      operations,
      async [Symbol.asyncDispose]() {
        await operations[Symbol.asyncDispose]().finally(async () => {
          await store.close()
          client.close()
          await proxy[Symbol.asyncDispose]()
          await memcached.kill()
        })
      },
    }
  }

  test('is served', async () => {
    await using lab = await start()
    await lab.operations.recovered()
  })

  test('is closed by nobody but its owner', async () => {
    await using memcached = await Memcached.start()
    const client = Client.create(memcached.address, { logger: { log() {} } } as never)
    await new MemcachedStore({ client: client as unknown as MemjsClient }).close()
    const again = new MemcachedStore({ client: client as unknown as MemjsClient })
    expect(await again.get('nobody')).toBeNull()
    await again.close()
    client.close()
  })

  test.each([
    ['closed by FIN', (proxy: TcpProxy) => proxy.cutNow('fin')],
    ['reset', (proxy: TcpProxy) => proxy.cutNow('reset')],
  ])('%s with 100 requests in flight: each settles, and it works again', async (_, harm) => {
    await using lab = await start()
    const { operations, proxy } = lab
    await operations.burst(20, 'warm')
    proxy.hold()
    const before = proxy.count()
    const burst = operations.burst(100)
    await until(() => proxy.count() >= before + 100)
    harm(proxy)
    await proxy.pass()
    await burst
    await operations.settled()
    await operations.recovered()
  })

  test('refused', async () => {
    await using lab = await start()
    const { operations, proxy } = lab
    await proxy.refuse()
    await operations.burst(50)
    await operations.settled()
    await proxy.pass()
    await operations.recovered()
  })

  test('silent', async () => {
    await using lab = await start()
    const { operations, proxy } = lab
    await operations.burst(20, 'warm')
    proxy.silence()
    await operations.burst(50)
    await operations.settled()
  })
})
