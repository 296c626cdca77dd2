import { setTimeout as sleep } from 'node:timers/promises'
import { describe } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import type { ProtocolName } from '../../lib/memcached/address.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { nodeOf } from '../support/node.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { type NodeUnderTest, nodeContract } from './node-contract.ts'

/** Milliseconds. Where all is to go well, a busy machine gets time. */
const TIMEOUT = 2000

/** A server that can be started again on its port. */
interface Restartable {
  readonly address: string
  restart(): Promise<void>
  kill(): Promise<void>
}

/** What a node promises, of one that speaks so with real servers. A file for each: their times run out side by side. */
export function realNode(protocol: ProtocolName): void {
  // Its own contract runs with all tests; here it would wait for as long again.
  const isFull = fewOrMany(false, true)
  if (isFull)
    describe('with EmbeddedMemcached', () => {
      nodeContract(async () => {
        let server = await EmbeddedMemcached.start()
        return make(protocol, {
          address: server.address,
          async restart() {
            await server.stop()
            server = await EmbeddedMemcached.start({ port: server.port })
          },
          kill: () => server.stop(),
        })
      })
    })

  describe.skipIf(!hasMemcached)('with memcached', () => {
    nodeContract(async () => make(protocol, await Memcached.start()))
  })
}

async function make(protocol: ProtocolName, server: Restartable): Promise<NodeUnderTest> {
  const proxy = await TcpProxy.start(server.address)
  const node = nodeOf(proxy.address, TIMEOUT, { protocol })
  // The proxy's connection goes once our side has closed its own.
  const noticed = () => until(() => proxy.open === 0)
  return {
    node,
    timeout: TIMEOUT,
    async disconnect() {
      proxy.cutNow('fin')
      await noticed()
    },
    async restart() {
      await server.restart()
      await noticed()
    },
    async stop() {
      await proxy.refuse()
    },
    loseNextReply: () => proxy.loseNextReply('fin'),
    elapse: seconds => sleep(seconds * 1000),
    async end() {
      await node.close()
      await proxy[Symbol.asyncDispose]()
      await server.kill()
    },
  }
}
