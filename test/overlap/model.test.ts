import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, inject, test } from 'vitest'
import { fewOrMany } from '../support/few-or-many.ts'
import { getPath, setPath } from './paths.ts'
import { type AnySession, makeSession, TwoStores } from './two-stores.ts'

const servers = inject('memcached')

/** The model sees a session as leaves: the objects `n` and `n.m` are always there. */
const LEAVES = ['a', 'b', 'n.x', 'n.y', 'n.m.z'] as const
type Leaf = (typeof LEAVES)[number]
type Leaves = Partial<Record<Leaf, unknown>>

const emptyData = (): Record<string, unknown> => ({ n: { m: {} } })

function leavesOf(data: unknown): Leaves {
  const found = LEAVES.map(leaf => [leaf, getPath(data, leaf)] as const)
  return Object.fromEntries(found.filter(([, value]) => value !== undefined))
}

const leaf: fc.Arbitrary<Leaf> = fc.constantFrom(...LEAVES)
/** undefined deletes; few values, so that sides agree at times. */
const value: fc.Arbitrary<unknown> = fc.constantFrom(undefined, 0, 1, 'two', [3], null)

describe.skipIf(servers === null)('requests by turns, step by step', () => {
  /** Requests 0 and 1 are in one process, 2 is in another. */
  const request = fc.nat(2)
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('read'), request }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('edit'), request, leaf, value }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('save'), request }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('touch'), request }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('reload'), request }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('update'), request, leaf, value }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('destroy'), request }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('evict') }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('create'), request, leaf, value }) },
  ) as fc.Arbitrary<Step>

  test.each(['merge', 'overwrite', 'reject'] as const)(
    'end as the rules of %s say, after every step',
    async onConflict => {
      await using stores = new TwoStores(
        { servers: servers as string, onConflict, touchAfter: 0 },
        { onConflict },
      )
      const history = fc.record({ steps: fc.array(step, { maxLength: 40 }), dated: fc.boolean() })
      await fc.assert(
        fc.asyncProperty(history, async ({ steps, dated }) => {
          const run = new Run(stores, new Model(onConflict), dated)
          await run.begin()
          for (const one of steps) await run.take(one)
        }),
        { numRuns: fewOrMany(40, 400) },
      )
    },
  )
})

type Step =
  | { do: 'read' | 'save' | 'touch' | 'reload' | 'destroy'; request: number }
  | { do: 'edit' | 'update' | 'create'; request: number; leaf: Leaf; value: unknown }
  | { do: 'evict' }

/** The rules, without any network, text or token. */
class Model {
  readonly #onConflict: 'merge' | 'overwrite' | 'reject'
  stored: Leaves | 'missing' | 'destroyed' = 'missing'
  /** What each request knows: as it read or last saved it, and as it has edited it since. */
  readonly views: ({ base: Leaves; mine: Leaves } | null)[] = [null, null, null]

  constructor(onConflict: 'merge' | 'overwrite' | 'reject') {
    this.#onConflict = onConflict
  }

  get visible(): Leaves | null {
    return typeof this.stored === 'string' ? null : this.stored
  }

  read(request: number): void {
    const { visible } = this
    this.views[request] = visible && { base: { ...visible }, mine: { ...visible } }
  }

  /** Gives whether the save is accepted. */
  save(request: number): boolean {
    const view = this.views[request]
    if (view == null) return true
    const edited = LEAVES.filter(one => !isSame(view.mine[one], view.base[one]))
    // Unmodified, it is a touch; destroyed, it stays so.
    if (edited.length === 0 || this.stored === 'destroyed') return true
    if (this.visible === null || this.#onConflict === 'overwrite') {
      this.stored = { ...view.mine }
    } else {
      const theirs = this.visible
      const isChanged = LEAVES.some(one => !isSame(theirs[one], view.base[one]))
      if (isChanged && this.#onConflict === 'reject') return false
      for (const one of edited) assign(theirs, one, view.mine[one])
    }
    view.base = { ...view.mine }
    return true
  }
}

/** Plays steps on the stores and on the model. */
class Run {
  readonly #stores: TwoStores
  readonly #model: Model
  readonly #dated: boolean
  readonly #sid = randomUUID()
  readonly #sessions: (AnySession | null)[] = [null, null, null]

  constructor(stores: TwoStores, model: Model, dated: boolean) {
    this.#stores = stores
    this.#model = model
    this.#dated = dated
  }

  async begin(): Promise<void> {
    await this.#create(0, 'a', 'first')
    for (const request of this.#sessions.keys()) await this.#read(request)
  }

  async take(step: Step): Promise<void> {
    if (step.do === 'evict') {
      await this.#stores.evict(this.#sid)
      this.#model.stored = 'missing'
    } else if (step.do === 'create') {
      await this.#create(step.request, step.leaf, step.value)
    } else if (step.do === 'edit' || step.do === 'update') {
      await this.#change(step.do, step.request, step.leaf, step.value)
    } else {
      await this.#act(step.do, step.request)
    }
    const { visible } = this.#model
    const stored = await this.#stores.stored(this.#sid)
    expect(stored && leavesOf(stored), `after ${step.do}`).toEqual(visible)
  }

  async #act(what: 'read' | 'save' | 'touch' | 'reload' | 'destroy', request: number): Promise<void> {
    const store = this.#storeOf(request)
    const session = this.#sessions[request]
    if (what === 'destroy') {
      await store.destroy(this.#sid)
      this.#sessions[request] = this.#model.views[request] = null
      this.#model.stored = 'destroyed'
    } else if (what === 'read') {
      await this.#read(request)
    } else if (session == null) {
      return
    } else if (what === 'reload') {
      // Where nothing is to be had, express-session leaves the request what it has.
      if (this.#model.visible !== null) await this.#read(request)
    } else if (what === 'touch') {
      session.cookie.expires = this.#expires()
      await store.touch(this.#sid, session)
    } else {
      const outcome = await store.set(this.#sid, session).then(
        () => true,
        error => {
          expect(error.code).toBe('ERR_CONFLICT')
          return false
        },
      )
      expect(outcome).toBe(this.#model.save(request))
    }
  }

  async #change(what: 'edit' | 'update', request: number, one: Leaf, to: unknown): Promise<void> {
    if (what === 'update') {
      const updated = await this.#storeOf(request).update(this.#sid, session => {
        setPath(session as AnySession, one, to)
      })
      const { visible } = this.#model
      if (visible !== null) assign(visible, one, to)
      expect(updated && leavesOf(updated)).toEqual(visible)
      return
    }
    const session = this.#sessions[request]
    const view = this.#model.views[request]
    expect(session == null).toBe(view == null)
    if (session == null || view == null) return
    setPath(session, one, to)
    assign(view.mine, one, to)
  }

  async #read(request: number): Promise<void> {
    const session = (await this.#storeOf(request).get(this.#sid)) as AnySession | null
    this.#model.read(request)
    expect(session && leavesOf(session)).toEqual(this.#model.visible)
    this.#sessions[request] = session
  }

  async #create(request: number, one: Leaf, to: unknown): Promise<void> {
    const session = makeSession(emptyData())
    session.cookie.expires = this.#expires()
    setPath(session, one, to)
    await this.#storeOf(request).set(this.#sid, session)
    this.#model.stored = leavesOf(session)
  }

  #expires(): Date | null {
    return this.#dated ? new Date(Date.now() + 60_000) : null
  }

  #storeOf(request: number): TwoStores['here'] {
    return request < 2 ? this.#stores.here : this.#stores.elsewhere
  }
}

function assign(leaves: Leaves, one: Leaf, to: unknown): void {
  if (to === undefined) delete leaves[one]
  else leaves[one] = to
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

describe.skipIf(servers === null)('requests at the same time', () => {
  const turn = fc.record({
    pause: fc.nat(6),
    edits: fc.array(fc.tuple(leaf, fc.boolean()), { maxLength: 3 }),
    act: fc.constantFrom('save', 'save', 'save and go on', 'touch', 'reload', 'nothing'),
  })
  const request = fc.record({
    elsewhere: fc.boolean(),
    turns: fc.array(turn, { minLength: 1, maxLength: 4 }),
  })
  const logout = fc.option(fc.record({ pause: fc.nat(12), elsewhere: fc.boolean() }), { freq: 3 })

  /** A save of one leaf, from its call to its end, on a clock that counts events. */
  interface Write {
    readonly leaf: Leaf
    readonly value: unknown
    readonly start: number
    end: number
  }

  test('keep, of every leaf, a write that no other came after; a logout ends it all', async () => {
    await using stores = new TwoStores({ servers: servers as string, touchAfter: 0 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 2, maxLength: 6 }),
        logout,
        async (requests, ending) => {
          let clock = 0
          let serial = 0
          const initial = Object.assign(emptyData(), { a: 'initial', b: 'initial' })
          const sid = await stores.create(structuredClone(initial))
          const writes: Write[] = LEAVES.map(one => ({
            leaf: one,
            value: getPath(initial, one),
            start: -1,
            end: -1,
          }))

          const serve = async ({ elsewhere, turns }: (typeof requests)[number]): Promise<void> => {
            const store = elsewhere ? stores.elsewhere : stores.here
            let session = (await store.get(sid)) as AnySession | null
            let base = leavesOf(session)
            const saves: Promise<void>[] = []
            for (const { pause, edits, act } of turns) {
              if (session === null) return
              await passes(pause)
              for (const [one, deletes] of edits) setPath(session, one, deletes ? undefined : `v${serial++}`)
              if (act === 'touch') await store.touch(sid, session)
              if (act === 'reload') {
                session = ((await store.get(sid)) as AnySession | null) ?? session
                base = leavesOf(session)
              }
              if (act !== 'save' && act !== 'save and go on') continue
              const mine = leavesOf(session)
              const start = clock++
              const edited = LEAVES.filter(one => !isSame(mine[one], base[one]))
              const own = edited.map((one): Write => ({ leaf: one, value: mine[one], start, end: Infinity }))
              writes.push(...own)
              base = mine
              const saved = store.set(sid, session).then(() => {
                const end = clock++
                for (const write of own) write.end = end
              })
              saves.push(saved)
              if (act === 'save') await saved
            }
            await Promise.all(saves)
          }

          const end = async (): Promise<void> => {
            if (ending === null) return
            await passes(ending.pause)
            await (ending.elsewhere ? stores.elsewhere : stores.here).destroy(sid)
          }
          await Promise.all([...requests.map(serve), end()])

          const stored = await stores.stored(sid)
          if (ending !== null) {
            expect(stored).toBeNull()
            return
          }
          for (const one of LEAVES) {
            const ofLeaf = writes.filter(write => write.leaf === one)
            const last = ofLeaf.filter(write => !ofLeaf.some(other => other.start > write.end))
            expect(
              last.map(write => write.value),
              one,
            ).toContainEqual(getPath(stored, one))
          }
        },
      ),
      { numRuns: fewOrMany(100, 1500) },
    )
  })
})

/** So many turns of the event loop. */
async function passes(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(resolve => setImmediate(resolve))
}
