import { randomUUID } from 'node:crypto'
import { describe, expect, inject, test } from 'vitest'
import { fewOrMany } from '../support/few-or-many.ts'
import { TcpProxy } from '../support/proxy.ts'
import { ScriptedApp, type Step } from './scripted-app.ts'
import { loaded, Visitor } from './visitor.ts'

const memcached = inject('memcached')?.split(',')[0]
const REQUESTS = 50
const ROUNDS = fewOrMany(1, 5)
const MANY = REQUESTS * ROUNDS

/** Round trips to memcached, in milliseconds. */
const distances = fewOrMany([0, 10, 40, 80], [0, 2, 5, 10, 20, 40, 80])
/** So far away, the default timeout is enough for all. */
const IN_TIME = 40
/** Milliseconds of an operation that are enough for all farther away, where processes get into each other's way. */
const LONG = 5000

interface Result {
  kept: number
  /** Codes of what requests failed with. */
  failures: unknown[]
  /** Of each round: what memcached was asked for, once all requests had read their session. */
  asked: number[]
}

/** @param processes - stores, an app each. @param timeout - the option. */
async function overlap(processes: number, distance: number, timeout?: number): Promise<Result> {
  await using proxy = await TcpProxy.start(memcached as string)
  const store = { servers: proxy.address, prefix: `far-${randomUUID()}:`, timeout }
  const apps = await Promise.all(Array.from({ length: processes }, () => ScriptedApp.start({ store })))
  const edits = Array.from({ length: REQUESTS }, (_, at): Step[] => [['set', `key-${at}`, at]])
  const result: Result = { kept: 0, failures: [], asked: [] }
  proxy.roundTrip(distance)
  for (let round = 0; round < ROUNDS; round++) {
    const visitor = new Visitor()
    await visitor.ask(apps[0] as ScriptedApp, ['set', 'here', true])
    const answers = visitor.start(apps, edits)
    await loaded(apps, REQUESTS)
    proxy.requests.clear()
    for (const app of apps) app.open()
    await Promise.all(answers)
    result.asked.push(proxy.count())
    const { session } = await visitor.ask(apps[0] as ScriptedApp)
    result.kept += Object.keys(session ?? {}).filter(key => key.startsWith('key-')).length
  }
  for (const app of apps) {
    result.failures.push(...app.failures)
    await app[Symbol.asyncDispose]()
  }
  return result
}

describe.skipIf(memcached === undefined)(`${REQUESTS} overlapping requests of one session`, () => {
  test.each(distances)('in one process, %d ms away: all are kept, in few round trips', async distance => {
    const { kept, failures, asked } = await overlap(1, distance)
    if (distance <= IN_TIME) expect(failures).toEqual([])
    expect(kept).toBe(MANY)
    // Two to four, as they come from one queue; more on a busy machine, where a write takes along what 10 ms allow.
    expect(Math.max(...asked)).toBeLessThanOrEqual(REQUESTS / 4)
  })

  test.each(distances)('in two processes, %d ms away: all are kept', async distance => {
    const { kept, failures } = await overlap(2, distance, distance <= IN_TIME ? undefined : LONG)
    expect(failures).toEqual([])
    expect(kept).toBe(MANY)
  })
})
