import { isDeepStrictEqual } from 'node:util'

/** Beyond this depth values are merged whole: no stack runs out over a session. */
const MAX_DEPTH = 200

type Dict = Record<string, unknown>

/**
 * Three-way merge of plain values: `base` is what both sides started from. What one side changed is
 * kept; objects are merged key by key, arrays and scalars whole; where both changed the same leaf,
 * `mine`, the later write, wins. `undefined` means absent. Pure: the arguments are left alone, the
 * result may share parts with them.
 */
export function merge(base: unknown, mine: unknown, theirs: unknown): unknown {
  return mergeFrom([base], mine, theirs)
}

/**
 * The same where it is not known which of several states `theirs` started from: `mine` has left alone only
 * what is the same in all of them.
 */
export function mergeFrom(bases: readonly unknown[], mine: unknown, theirs: unknown, depth = 0): unknown {
  if (depth < MAX_DEPTH && isDict(mine) && isDict(theirs)) {
    return mergeDicts(
      bases.map(base => (isDict(base) ? base : {})),
      mine,
      theirs,
      depth + 1,
    )
  }
  return bases.every(base => same(mine, base)) ? theirs : mine
}

function mergeDicts(bases: readonly Dict[], mine: Dict, theirs: Dict, depth: number): Dict {
  const merged: Dict = {}
  for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
    if (key === '__proto__') continue
    const from = bases.map(base => own(base, key))
    const value = mergeFrom(from, own(mine, key), own(theirs, key), depth)
    if (value !== undefined) merged[key] = value
  }
  return merged
}

function own(dict: Dict, key: string): unknown {
  return Object.hasOwn(dict, key) ? dict[key] : undefined
}

/** Only a plain object has keys to merge: a Date, a Map or an array is one value. */
function isDict(value: unknown): value is Dict {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Are two values equal all the way down? */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object') return false
  try {
    return isDeepStrictEqual(a, b)
  } catch {
    // Nested too deeply to compare: taken as changed, so that nobody's edit is dropped unseen.
    return false
  }
}
