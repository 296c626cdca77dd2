import { describe } from 'vitest'
import type { MemcachedNode, ReplyCallback } from '../../lib/memcached/node.ts'
import { type NodeUnderTest, nodeContract } from '../memcached/node-contract.ts'
import { SimulatedNode } from './node.ts'
import { Random } from './random.ts'
import { NOBODY, SimulatedServer } from './server.ts'
import { VirtualTime } from './virtual-time.ts'

const TIMEOUT = 500

describe('the node that the simulation stands on', () => {
  nodeContract(async () => make())
})

function make(): NodeUnderTest {
  const random = new Random(1)
  const time = new VirtualTime(random)
  const server = new SimulatedServer('server-0:11211', time, random)
  const clock = { skew: 0 }
  const simulated = new SimulatedNode({
    time,
    random,
    server,
    clock,
    timeout: TIMEOUT,
    latency: 1,
    protocol: 'binary',
    onChange() {},
    onDoubt() {},
    listen: undefined,
  })
  const answers: (() => void)[] = []
  let due = 0
  let isRunning = false
  /** Lets time pass until all is answered. The test goes on after it, in real time. */
  const runSoon = (): void => {
    if (isRunning) return
    isRunning = true
    setImmediate(async () => {
      const latest = time.now + 10 * TIMEOUT
      await time.run(() => due === 0 || time.now > latest)
      isRunning = false
      for (const answer of answers.splice(0)) answer()
    })
  }
  const counted = (done: ReplyCallback): ReplyCallback => {
    due++
    runSoon()
    return (error, reply) => {
      due--
      if (isRunning) answers.push(() => done(error, reply))
      else done(error, reply)
    }
  }
  const node: MemcachedNode = {
    address: simulated.address,
    get: (key, done) => simulated.get(key, counted(done)),
    write: (mode, item, version, done) => simulated.write(mode, item, version, counted(done)),
    delete: (key, version, done) => simulated.delete(key, version, counted(done)),
    walk: () => simulated.walk(),
    statistics: () => simulated.statistics(),
    close: () => simulated.close(),
  }
  const elapse = async (milliseconds: number): Promise<void> => {
    let isOver = false
    time.after(milliseconds, NOBODY, () => {
      isOver = true
    })
    await time.run(() => isOver)
  }
  const stop = (isWarm: boolean): Promise<void> => {
    server.stop(isWarm)
    return elapse(TIMEOUT)
  }
  return {
    node,
    timeout: TIMEOUT,
    async disconnect() {
      await stop(true)
      server.start()
    },
    async restart() {
      await stop(false)
      server.start()
    },
    stop: () => stop(true),
    loseNextReply() {
      server.trap = { when: 'after', what: 'write' }
    },
    elapse: seconds => elapse(seconds * 1000),
    end: () => node.close(),
  }
}
