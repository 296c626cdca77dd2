import { describe, expect, test } from 'vitest'
import { parseServers, type ServerAddress } from '../../lib/memcached/address.ts'
import { MemjsNode } from '../../lib/memcached/memjs-node.ts'
import type { ReplyCallback } from '../../lib/memcached/node.ts'
import { Server } from '../../lib/memcached/server.ts'
import { OPCODE } from '../support/frames.ts'
import { TIMEOUT } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { isText } from '../support/protocol.ts'
import { TcpProxy } from '../support/proxy.ts'

const LAST = 2 ** 31 - 1

describe.skipIf(!hasMemcached || isText)('2^31 operations passed (text numbers none)', () => {
  test.each([0, 1, 50])(
    'the sequence begins again %d before its end, and every request gets its own',
    async before => {
      await using memcached = await Memcached.start()
      await using proxy = await TcpProxy.start(memcached.address)
      const opaques: number[] = []
      proxy.tamper(reply => {
        // The greeting has none.
        if (reply[1] !== OPCODE.noop) opaques.push(reply.readUInt32BE(12))
        return reply
      })
      const [address] = parseServers(proxy.address) as [ServerAddress]
      const server = new Server({
        address,
        tls: undefined,
        timeout: TIMEOUT,
        maxItemSize: 1024 ** 2,
        onChange() {},
      })
      const node = new MemjsNode(address.name, server, LAST - before)
      const keys = Array.from({ length: 100 }, (_, index) => `wrap-${index}`)
      await Promise.all(
        keys.map(key =>
          replied(done => node.write('set', { key, value: key, flags: 0, expiration: 0 }, null, done)),
        ),
      )
      const values = await Promise.all(keys.map(key => replied(done => node.get(key, done))))
      expect(values).toEqual(keys)
      await node.close()

      expect(opaques).toHaveLength(200)
      expect(Math.max(...opaques)).toBe(before === 0 ? opaques.at(-1) : LAST)
      expect(Math.min(...opaques)).toBeGreaterThanOrEqual(0)
      expect(new Set(opaques).size).toBe(200)
    },
  )
})

function replied(send: (done: ReplyCallback) => void): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    send((error, reply) => (error === null ? resolve(reply?.text) : reject(error)))
  })
}
