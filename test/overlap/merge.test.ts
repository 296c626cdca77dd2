import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJson } from '../../lib/session/json.ts'
import { merge } from '../../lib/session/merge.ts'
import { getPath, setPath } from './paths.ts'

type Dict = Record<string, unknown>

/** What a session may hold: JSON, read as the store reads it. */
const json: fc.Arbitrary<unknown> = fc
  .json({ maxDepth: 4 })
  .map(text => parseJson(JSON.stringify(JSON.parse(text))))
const copy = <T>(value: T): T => structuredClone(value)

/** Objects with few keys, so that the sides meet in the same places. */
const { tree } = fc.letrec<{ tree: Dict; value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.integer({ min: 0, max: 3 }),
    fc.array(fc.nat(2), { maxLength: 2 }),
    tie('tree'),
  ),
  tree: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
}))

/** A session of objects in an object: some leaves are there and some are not. */
const branches = ['a', 'b', 'c']
const leaves: string[] = branches.flatMap(branch => ['x', 'y', 'z'].map(leaf => `${branch}.${leaf}`))
const leaf: fc.Arbitrary<unknown> = fc.oneof(fc.constant(undefined), json)
const session: fc.Arbitrary<Dict> = fc
  .array(leaf, { minLength: leaves.length, maxLength: leaves.length })
  .map(values =>
    edited(
      { a: {}, b: {}, c: {} },
      leaves.map((path, index) => [path, values[index]]),
    ),
  )

/** One edit: undefined deletes. */
type Edit = readonly [path: string, value: unknown]
const edits: fc.Arbitrary<Edit[]> = fc.uniqueArray(fc.tuple(fc.constantFrom(...leaves), leaf), {
  selector: ([path]) => path,
})

function edited(base: Dict, changes: readonly Edit[]): Dict {
  const result = copy(base)
  for (const [path, value] of changes) setPath(result, path, value)
  return result
}

describe('merge', () => {
  test('gives mine where theirs is the base', () => {
    fc.assert(
      fc.property(json, json, (base, mine) => {
        expect(merge(base, mine, copy(base))).toStrictEqual(mine)
      }),
    )
    fc.assert(
      fc.property(tree, tree, (base, mine) => {
        expect(merge(base, mine, copy(base))).toStrictEqual(mine)
      }),
    )
  })

  test('gives theirs where mine is the base', () => {
    fc.assert(
      fc.property(json, json, (base, theirs) => {
        expect(merge(base, copy(base), theirs)).toStrictEqual(theirs)
      }),
    )
    fc.assert(
      fc.property(tree, tree, (base, theirs) => {
        expect(merge(base, copy(base), theirs)).toStrictEqual(theirs)
      }),
    )
  })

  test('keeps all edits of different leaves, deletions too, in any order', () => {
    const divided = fc
      .tuple(edits, fc.array(fc.nat(3), { minLength: leaves.length, maxLength: leaves.length }))
      .map(([all, owners]) => [0, 1, 2, 3].map(owner => all.filter((_, index) => owners[index] === owner)))
    const order = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 })
    fc.assert(
      fc.property(session, divided, order, (base, requests, saves) => {
        let stored: unknown = copy(base)
        for (const save of saves) stored = merge(base, edited(base, requests[save] as Edit[]), stored)
        expect(stored).toStrictEqual(edited(base, requests.flat()))
      }),
    )
  })

  test('gives mine, a deletion too, where both changed one leaf', () => {
    fc.assert(
      fc.property(session, edits, edits, (base, ofMine, ofTheirs) => {
        const mine = edited(base, ofMine)
        const merged = merge(base, mine, edited(base, ofTheirs))
        for (const [path, value] of ofMine) {
          const before = getPath(base, path)
          if (value === undefined && before !== undefined) expect(getPath(merged, path)).toBeUndefined()
          // Where both made objects of a leaf, these are merged in their turn.
          else if (!isDict(value) && JSON.stringify(value) !== JSON.stringify(before))
            expect(getPath(merged, path)).toStrictEqual(value)
        }
      }),
    )
  })

  test('merges an array whole', () => {
    expect(merge({ list: [1] }, { list: [1, 2] }, { list: [1, 3], other: 1 })).toEqual({
      list: [1, 2],
      other: 1,
    })
  })

  test('does nothing more the second time', () => {
    fc.assert(
      fc.property(tree, tree, tree, (base, mine, theirs) => {
        const merged = merge(base, mine, theirs)
        expect(merge(base, mine, merged)).toStrictEqual(merged)
      }),
    )
  })

  test('leaves its arguments alone', () => {
    fc.assert(
      fc.property(tree, tree, tree, (base, mine, theirs) => {
        const before = copy([base, mine, theirs])
        merge(base, mine, theirs)
        expect([base, mine, theirs]).toStrictEqual(before)
      }),
    )
  })

  test('never throws, whatever the JSON', () => {
    const raw = fc.json().map(text => JSON.parse(text) as unknown)
    fc.assert(fc.property(raw, raw, raw, (base, mine, theirs) => void merge(base, mine, theirs)))
  })

  test.each([
    ['objects', '{"in":', '}'],
    ['arrays', '[', ']'],
  ])('never throws at 20,000 levels of %s, and keeps the edits beside them', (_, open, close) => {
    const deep = (bottom: number): unknown => JSON.parse(open.repeat(20_000) + bottom + close.repeat(20_000))
    const merged = merge({ deep: deep(1) }, { deep: deep(1), mine: 1 }, { deep: deep(2), theirs: 2 })
    expect(Object.keys(merged as Dict).sort()).toEqual(['deep', 'mine', 'theirs'])
  })

  test('is not harmed by keys that mean something to JavaScript', () => {
    const evil = (value: string): Dict =>
      JSON.parse(
        `{"__proto__":{"polluted":"${value}"},"constructor":{"prototype":{"polluted":"${value}"}},"prototype":"${value}","toString":"${value}","hasOwnProperty":"${value}"}`,
      )
    const merged = merge(evil('base'), { ...evil('mine'), a: 1 }, { ...evil('theirs'), b: 2 }) as Dict
    expect(({} as Dict).polluted).toBeUndefined()
    expect((Object as unknown as Dict).polluted).toBeUndefined()
    expect(merged.polluted).toBeUndefined()
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
    expect(Object.entries(merged)).toEqual([
      ['constructor', { prototype: { polluted: 'mine' } }],
      ['prototype', 'mine'],
      ['toString', 'mine'],
      ['hasOwnProperty', 'mine'],
      ['a', 1],
      ['b', 2],
    ])
    // Inherited, they are no data: what one side set is no change of what the base has.
    expect(merge({}, { constructor: 1 }, { toString: 2 })).toEqual({ constructor: 1, toString: 2 })
    expect(merge({ constructor: 1 }, {}, { constructor: 1, a: 1 })).toStrictEqual({ a: 1 })
  })

  test('takes dates, maps and instances for leaves', () => {
    class Money {
      constructor(readonly amount: number) {}
    }
    const base = { date: new Date(1), map: new Map([['a', 1]]), same: new Date(9), money: new Money(1) }
    const mine = {
      ...base,
      date: new Date(2),
      map: new Map([['b', 2]]),
      money: new Money(2),
      same: new Date(9),
    }
    const theirs = {
      ...base,
      date: new Date(3),
      map: new Map([['c', 3]]),
      money: new Money(3),
      more: new Date(4),
    }
    const merged = merge(base, mine, theirs)
    expect(merged).toStrictEqual({ ...mine, more: new Date(4) })
    expect((merged as typeof mine).map).toBe(mine.map)
    expect(merge(base, { ...base, n: 1 }, { ...base, same: new Date(8) })).toStrictEqual({
      ...base,
      same: new Date(8),
      n: 1,
    })
  })
})

function isDict(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
