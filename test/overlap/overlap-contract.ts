import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MemcachedStoreOptions } from '../../lib/index.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { getPath } from './paths.ts'
import { type AppOptions, ScriptedApp, type Step } from './scripted-app.ts'
import { type App, ChildApp, Visitor } from './visitor.ts'

const REQUESTS = 50
const ROUNDS = fewOrMany(4, 100)

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
export const edits: Step[][] = numbers.map(number => [
  ['set', `key-${number}`, number],
  ['set', `cart.items.${number}.amount`, number],
  ['delete', `flash.${number}`],
])
/** As many again only read. With `resave: true` they are saved, as they were read. */
const editsAmongReads: Step[][] = edits.flatMap(steps => [steps, []])

export async function kept(apps: App[], scripts: Step[][], rounds: number = ROUNDS): Promise<Kept> {
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

/** What overlapping requests of one visitor must not lose, whatever serves them. */
export function overlapContract(store: () => MemcachedStoreOptions, rounds: number = ROUNDS): void {
  const whole = REQUESTS * rounds
  const all = whole.toLocaleString('en')

  describe.each([
    ['one process', 1],
    ['two processes', 2],
  ])('overlapping requests in %s', (_, processes) => {
    async function start(more: Partial<AppOptions> = {}): Promise<App[]> {
      // What is to be kept is asked here, not how soon: a busy machine gets time.
      const options = { store: { prefix: `overlap-${randomUUID()}:`, timeout: 5000, ...store() }, ...more }
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
      expect(await kept(apps, edits, rounds)).toEqual({ keys: whole, nestedKeys: whole, deletions: whole })
    })

    test('keep them with `resave: true`, among as many requests that only read', async () => {
      expect(await kept(resaving, editsAmongReads, rounds)).toEqual({
        keys: whole,
        nestedKeys: whole,
        deletions: whole,
      })
    })

    test(`count to ${all} with update`, async () => {
      const visitor = new Visitor()
      await visitor.ask(apps[0] as App, ['set', 'clicks', 0])
      const step: Step = ['increment', 'clicks']
      await Promise.all(
        Array.from({ length: whole }, (_, index) => visitor.ask(apps[index % apps.length] as App, step)),
      )
      expect((await visitor.ask(apps[0] as App)).session).toMatchObject({ clicks: whole })
    })

    test('undo no logout', async () => {
      for (let round = 0; round < rounds; round++) {
        const visitor = new Visitor()
        await visitor.ask(apps[0] as App, ['set', 'user', 'Ada'])
        const scripts: Step[][] = [...edits.slice(0, 10), [['destroy']], ...edits.slice(10, 20)]
        await visitor.overlap(apps, scripts)
        expect((await visitor.ask(apps[0] as App)).session).not.toMatchObject({ user: 'Ada' })
      }
    })
  })
}
