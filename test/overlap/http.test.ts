import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { fewOrMany } from '../support/few-or-many.ts'
import { getPath } from './paths.ts'
import { type AppOptions, ScriptedApp, type Step } from './scripted-app.ts'
import { type App, ChildApp, Visitor } from './visitor.ts'

const servers = inject('memcached')
const REQUESTS = 50
const ROUNDS = fewOrMany(8, 100)

const numbers: number[] = Array.from({ length: REQUESTS }, (_, index) => index)

/** A key, a key of a nested object, and the deletion of one. */
interface Kept {
  keys: number
  nestedKeys: number
  deletions: number
}

const first: Step[] = [
  ['set', 'cart.items.none', 0],
  ...numbers.map((number): Step => ['set', `flash.${number}`, 'read me']),
]
const edits: Step[][] = numbers.map(number => [
  ['set', `key-${number}`, number],
  ['set', `cart.items.${number}.amount`, number],
  ['delete', `flash.${number}`],
])
/** As many again only read. With `resave: true` they are saved, as they were read. */
const editsAmongReads: Step[][] = edits.flatMap(steps => [steps, []])

async function kept(apps: App[], scripts: Step[][], rounds = ROUNDS): Promise<Kept> {
  const sum: Kept = { keys: 0, nestedKeys: 0, deletions: 0 }
  for (let round = 0; round < rounds; round++) {
    const visitor = new Visitor()
    await visitor.ask(apps[0] as App, ...first)
    await visitor.overlap(apps, scripts)
    const { session } = await visitor.ask(apps[0] as App)
    for (const number of numbers) {
      sum.keys += Number(getPath(session, `key-${number}`) === number)
      sum.nestedKeys += Number(getPath(session, `cart.items.${number}.amount`) === number)
      sum.deletions += Number(getPath(session, `flash.${number}`) === undefined)
    }
  }
  return sum
}

const ALL = REQUESTS * ROUNDS
const all = ALL.toLocaleString('en')

describe.skipIf(servers === null).each([
  ['one process', 1],
  ['two processes', 2],
])('overlapping requests in %s', (_, processes) => {
  async function start(more: Partial<AppOptions> = {}): Promise<App[]> {
    // What is to be kept is asked here, not how soon: a busy machine gets time.
    const store = { servers: servers as string, prefix: `overlap-${randomUUID()}:`, timeout: 5000 }
    const options = { store, ...more }
    if (processes === 1) return [await ScriptedApp.start(options)]
    return Promise.all(Array.from({ length: processes }, () => ChildApp.start(options)))
  }

  let apps: App[]
  let resaving: App[]
  beforeAll(async () => {
    ;[apps, resaving] = await Promise.all([start(), start({ resave: true })])
  })
  afterAll(() => Promise.all([...apps, ...resaving].map(app => app[Symbol.asyncDispose]())))

  test(`keep ${all} of ${all} keys, nested keys and deletions`, async () => {
    expect(await kept(apps, edits)).toEqual({ keys: ALL, nestedKeys: ALL, deletions: ALL })
  })

  test('keep them with `resave: true`, among as many requests that only read', async () => {
    expect(await kept(resaving, editsAmongReads)).toEqual({ keys: ALL, nestedKeys: ALL, deletions: ALL })
  })

  test(`count to ${all} with update`, async () => {
    const visitor = new Visitor()
    await visitor.ask(apps[0] as App, ['set', 'clicks', 0])
    const step: Step = ['increment', 'clicks']
    await Promise.all(
      Array.from({ length: ALL }, (_, index) => visitor.ask(apps[index % apps.length] as App, step)),
    )
    expect((await visitor.ask(apps[0] as App)).session).toMatchObject({ clicks: ALL })
  })
})

test('the overlap is real: the MemoryStore of express-session loses nearly all of it', async () => {
  const app = await ScriptedApp.start({ store: 'memory' })
  const rounds = fewOrMany(3, 10)
  expect(await kept([app], edits, rounds)).toEqual({ keys: rounds, nestedKeys: rounds, deletions: rounds })
  await app[Symbol.asyncDispose]()
})
