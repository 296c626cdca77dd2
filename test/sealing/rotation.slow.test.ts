import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, inject, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { makeSession } from '../overlap/two-stores.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { programOf } from '../support/programs.ts'
import { EVERYTHING, KEY, OTHER_KEY } from './everything.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const file = programOf(new URL('rotating.child.ts', import.meta.url))

interface Progress {
  readonly counted: number
  readonly missed: number
  readonly isOver: boolean
}

/** A process with these keys, at work on all sessions. */
class Worker {
  readonly #child: ChildProcess
  #progress: Progress = { counted: 0, missed: 0, isOver: false }

  constructor(task: object) {
    this.#child = fork(file, [JSON.stringify(task)])
    this.#child.on('message', (progress: Progress) => {
      this.#progress = progress
    })
  }

  /** Until it has been through all sessions so many times more. */
  async rounds(count: number): Promise<void> {
    for (let round = 0; round < count; round++) await once(this.#child, 'message')
  }

  async stop(): Promise<Progress> {
    const gone = once(this.#child, 'exit')
    this.#child.send('stop')
    await gone
    expect(this.#progress.isOver).toBe(true)
    return this.#progress
  }
}

describe.skipIf(memcached === undefined)(
  'a key is changed under traffic, one process after the other',
  () => {
    const ways = [
      ['encryption', { hashKeys: false }],
      ['encryption, compression and hashed ids', {}],
    ] as const

    // Sixteen processes are started one after the other.
    test.each(ways)(
      'with %s: nobody is logged out, and nothing is lost',
      { timeout: 180_000 },
      async (_, options) => {
        const prefix = `rotation-${randomUUID()}:`
        const sids = Array.from({ length: fewOrMany(20, 200) }, () => randomUUID())
        const work = (encryptionKeys: string[]): Worker =>
          new Worker({ servers: memcached, prefix, sids, encryptionKeys, ...options })
        const settings = { ...EVERYTHING, ...options, servers: memcached, prefix }
        await using first = new MemcachedStore({ ...settings, encryptionKeys: [KEY] })
        await Promise.all(sids.map(sid => first.set(sid, makeSession({ count: 0 }, 3_600_000))))

        const ended: Progress[] = []
        let workers = [work([KEY]), work([KEY])]
        await Promise.all(workers.map(worker => worker.rounds(1)))
        for (const keys of [[KEY, OTHER_KEY], [OTHER_KEY, KEY], [OTHER_KEY]]) {
          for (const [index, worker] of workers.entries()) {
            const next = work(keys)
            await next.rounds(1)
            ended.push(await worker.stop())
            workers = workers.with(index, next)
          }
          await Promise.all(workers.map(worker => worker.rounds(2)))
        }
        ended.push(...(await Promise.all(workers.map(worker => worker.stop()))))

        expect(ended.map(({ missed }) => missed)).toEqual(ended.map(() => 0))
        await using last = new MemcachedStore({ ...settings, encryptionKeys: [OTHER_KEY] })
        const counts = await Promise.all(
          sids.map(async sid => ((await last.get(sid)) as unknown as { count: number }).count),
        )
        const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0)
        expect(sum(counts)).toBe(sum(ended.map(({ counted }) => counted)))
      },
    )
  },
)
