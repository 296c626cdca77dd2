import type { Store } from 'express-session'
import { describe, expect, test } from 'vitest'
import type { ProtocolName } from '../../lib/memcached/address.ts'
import type { MemcachedNode } from '../../lib/memcached/node.ts'
import { TOMBSTONE } from '../../lib/storage/stored-form.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { draw, type Plan } from './plan.ts'
import { kindOf, shrink } from './shrink.ts'
import { type SimulateOptions, simulate } from './simulate.ts'
import { tellOf } from './telling.ts'

/** So many take some 3 s of a quiet core. */
const HISTORIES = fewOrMany(1000, 50_000)
const BACKED_HISTORIES = fewOrMany(200, 5000)
/** Enough for each store that is broken on purpose. */
const ENOUGH = 1000

describe('the store, in a simulated world', () => {
  test('keeps its promises in every history', { timeout: 600_000 }, async () => {
    for (let seed = 0; seed < HISTORIES; seed++) {
      const plan = draw(seed, { protocol: protocolOf(seed) })
      const outcome = await simulate(plan)
      if (outcome.verdict.violations.length > 0) expect.fail(await tellSmall(plan))
    }
  })
})

describe('the store with a durable store behind it, in a simulated world', () => {
  test('keeps its promises in every history', { timeout: 600_000 }, async () => {
    for (let seed = 0; seed < BACKED_HISTORIES; seed++) {
      const plan = draw(seed, { isBacked: true, protocol: protocolOf(seed) })
      const outcome = await simulate(plan)
      if (outcome.verdict.violations.length > 0) expect.fail(await tellSmall(plan))
    }
  })

  test.each<[what: string, kind: string, wrap: (store: Store) => Store]>([
    ['forgets what it is told now and then', 'data', forgetfulStore],
    ['keeps who has logged out', 'revived', keepingStore],
    ['says that there is no session where it cannot tell', 'lost', lyingStore],
    ['does not touch', 'lost', untouchable],
  ])('and one that %s is found', { timeout: 120_000 }, async (_, kind, wrapBacking) => {
    expect(await search(kind, { wrapBacking }, true)).toBeDefined()
  })
})

describe('the simulation', () => {
  test.each([1, 2, 3, 7, 11, 13, 17, 19])('tells the same story of a seed again: %i', async seed => {
    const stories = await Promise.all([await tell(seed), await tell(seed)])
    expect(stories[0]).toBe(stories[1])
    expect(stories[0]).toContain('-> server-')
  })

  test.each<[what: string, kind: string, wrap: (node: MemcachedNode) => MemcachedNode]>([
    ['writes without conditions', 'data', unconditional],
    ['leaves no tombstones', 'revived', withoutTombstones],
    ['says that it has stored what it has not', 'data', forgetful],
    ['lets items die early', 'lost', shortLived],
    ['lets items live on', 'outlived', longLived],
    ['never answers now and then', 'hangs', silent],
    ['answers twice', 'called 2 times', stuttering],
  ])('finds a store that %s', { timeout: 120_000 }, async (_, kind, wrap) => {
    const found = await search(kind, { wrap })
    expect(found).toBeDefined()
  })

  test('makes a find smaller', { timeout: 120_000 }, async () => {
    const plan = (await search('data', { wrap: unconditional })) as Plan
    const small = await shrink(plan, 'data', { wrap: unconditional })
    expect(stepsOf(small)).toBeLessThanOrEqual(stepsOf(plan))
    const { verdict } = await simulate(small, { wrap: unconditional })
    expect(verdict.violations.map(kindOf)).toContain('data')
  })
})

/** Every fourth history goes over text. */
function protocolOf(seed: number): ProtocolName {
  return seed % 4 === 3 ? 'text' : 'binary'
}

async function tellSmall(plan: Plan): Promise<string> {
  const { verdict } = await simulate(plan)
  const small = await shrink(plan, kindOf(verdict.violations[0] as string))
  return `seed ${plan.seed}\n${tellOf(small, await simulate(small, { tells: true }))}`
}

async function tell(seed: number): Promise<string> {
  const plan = draw(seed)
  return tellOf(plan, await simulate(plan, { tells: true }))
}

async function search(kind: string, options: SimulateOptions, isBacked = false): Promise<Plan | undefined> {
  for (let seed = 0; seed < ENOUGH; seed++) {
    const plan = draw(seed, { isBacked })
    const { verdict } = await simulate(plan, options)
    if (verdict.violations.some(violation => kindOf(violation) === kind)) return plan
  }
  return undefined
}

function stepsOf({ visits }: Plan): number {
  return visits.reduce((sum, { steps }) => sum + 1 + steps.length, 0)
}

/** A node with another way to do some things. */
function but(node: MemcachedNode, changed: Partial<MemcachedNode>): MemcachedNode {
  return {
    address: node.address,
    get: (key, done) => node.get(key, done),
    write: (mode, item, version, done) => node.write(mode, item, version, done),
    delete: (key, version, done) => node.delete(key, version, done),
    walk: options => node.walk(options),
    statistics: () => node.statistics(),
    close: () => node.close(),
    ...changed,
  }
}

function unconditional(node: MemcachedNode): MemcachedNode {
  return but(node, { write: (mode, item, _version, done) => node.write(mode, item, null, done) })
}

function withoutTombstones(node: MemcachedNode): MemcachedNode {
  return but(node, {
    write(mode, item, version, done) {
      if ((item.flags & TOMBSTONE) === 0) node.write(mode, item, version, done)
      else node.delete(item.key, version, done)
    },
  })
}

function forgetful(node: MemcachedNode): MemcachedNode {
  let writes = 0
  return but(node, {
    write(mode, item, version, done) {
      if (++writes % 5 === 0) node.get(item.key, done)
      else node.write(mode, item, version, done)
    },
  })
}

function shortLived(node: MemcachedNode): MemcachedNode {
  return but(node, {
    write(mode, item, version, done) {
      node.write(mode, { ...item, expiration: Math.max(1, item.expiration - 2) }, version, done)
    },
  })
}

function longLived(node: MemcachedNode): MemcachedNode {
  return but(node, {
    write: (mode, item, version, done) => node.write(mode, { ...item, expiration: 0 }, version, done),
  })
}

function silent(node: MemcachedNode): MemcachedNode {
  let reads = 0
  return but(node, {
    get(key, done) {
      if (++reads % 20 !== 0) node.get(key, done)
    },
  })
}

function stuttering(node: MemcachedNode): MemcachedNode {
  return but(node, {
    get(key, done) {
      node.get(key, (error, reply) => {
        done(error, reply)
        done(error, reply)
      })
    },
  })
}

type Methods = Record<'get' | 'set' | 'touch' | 'destroy', (...args: unknown[]) => void>

/** A store with another way to do one thing. */
function otherwise<K extends keyof Methods>(
  store: Store,
  name: K,
  change: (as: Methods[K]) => Methods[K],
): Store {
  const methods = store as unknown as Methods
  methods[name] = change(methods[name].bind(store) as Methods[K])
  return store
}

function callLast(args: unknown[]): void {
  setTimeout(args.at(-1) as () => void, 1)
}

function forgetfulStore(store: Store): Store {
  let calls = 0
  return otherwise(
    store,
    'set',
    set =>
      (...args) =>
        ++calls % 4 === 0 ? callLast(args) : set(...args),
  )
}

function keepingStore(store: Store): Store {
  return otherwise(
    store,
    'destroy',
    () =>
      (...args) =>
        callLast(args),
  )
}

function lyingStore(store: Store): Store {
  return otherwise(store, 'get', get => (sid, done) => {
    get(sid, (_error: unknown, found: unknown) => (done as (...args: unknown[]) => void)(null, found))
  })
}

function untouchable(store: Store): Store {
  return otherwise(
    store,
    'touch',
    () =>
      (...args) =>
        callLast(args),
  )
}
