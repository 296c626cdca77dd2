import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { fewOrMany } from '../support/few-or-many.ts'
import { TIMEOUT, withStore } from '../support/lab.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'

/**
 * Connecting gets no answer at all: neither accepted nor refused. A daemon that accepts nothing, with
 * its backlog full, makes the kernel drop what arrives.
 */
class BlackHole implements AsyncDisposable {
  readonly memcached: Memcached
  readonly #fillers: Socket[] = []

  private constructor(memcached: Memcached) {
    this.memcached = memcached
  }

  static async start(): Promise<BlackHole> {
    const hole = new BlackHole(await Memcached.start('-b', '1'))
    hole.memcached.freeze()
    await until(() => hole.#fill())
    return hole
  }

  open(): void {
    this.memcached.thaw()
    for (const filler of this.#fillers) filler.destroy()
  }

  /** True once a connection stays without an answer. */
  async #fill(): Promise<boolean> {
    const filler = connect(this.memcached.port, '127.0.0.1').on('error', () => {})
    this.#fillers.push(filler)
    await sleep(100)
    return filler.connecting
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.open()
    await this.memcached.kill()
  }
}

describe.skipIf(!hasMemcached)('connect black hole', () => {
  test('the deadline includes connecting, and the store finds back', async () => {
    await using hole = await BlackHole.start()
    await using watched = withStore(hole.memcached.address)
    const { operations } = watched
    const outcomes = await operations.burst(100)
    await operations.settled()
    expect(outcomes.filter(({ error }) => error === null)).toEqual([])
    hole.open()
    await operations.recovered()
  })

  test('it costs one deadline, not one for each operation', async () => {
    await using hole = await BlackHole.start()
    await using watched = withStore(hole.memcached.address)
    const { operations } = watched
    await operations.get('first')
    for (let turn = 0; turn < 20; turn++) {
      expect(await operations.waiting(() => operations.burst(20))).toBe(0)
      await sleep(20)
    }
    await operations.settled()
  })

  test('operations that come later have deadlines of their own', async () => {
    await using hole = await BlackHole.start()
    await using watched = withStore(hole.memcached.address)
    const { operations } = watched
    await operations.steadily(10, sleep(4 * TIMEOUT))
    await operations.settled()
  })

  test.each(fewOrMany([30], [30, 6000]))('with a timeout of %d ms', async timeout => {
    await using hole = await BlackHole.start()
    await using watched = withStore(hole.memcached.address, { timeout })
    const { operations } = watched
    const outcomes = await operations.burst(10)
    await operations.settled()
    // But for a tick of the clock, a tenth, by which it may lag more while this process is busy itself.
    const least = Math.floor(timeout * 0.9) - 1
    for (const { started, ended } of outcomes) expect(ended - started).toBeGreaterThanOrEqual(least)
  })
})
