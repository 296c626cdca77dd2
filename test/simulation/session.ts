import { LEAVES, type Leaf } from './plan.ts'

/** A session as the simulation sees it: what can be changed by itself, under its path. */
export type Path = Leaf | 'user' | 'life'
export type Leaves = Partial<Record<Path, unknown>> & {
  /** Which objects there are, whether or not anything lies in them. */
  readonly shape?: string
}

export const PATHS: readonly Path[] = [...LEAVES, 'user', 'life']

type Dict = Record<string, unknown>

export function leavesOf(session: unknown): Leaves {
  const { a, b, n, user, cookie } = session as Record<string, Dict | undefined>
  const leaves: Leaves = { shape: n === undefined ? '' : n.m === undefined ? 'n' : 'n.m' }
  if (a !== undefined) leaves.a = a
  if (b !== undefined) leaves.b = b
  if (n?.x !== undefined) leaves['n.x'] = n.x
  if (n?.y !== undefined) leaves['n.y'] = n.y
  const z = (n?.m as Dict | undefined)?.z
  if (z !== undefined) leaves['n.m.z'] = z
  if (user !== undefined) leaves.user = user
  const life = cookie?.originalMaxAge
  if (typeof life === 'number') leaves.life = life
  return leaves
}

/** Sets a leaf, or deletes it where the value is undefined. */
export function setLeaf(session: object, leaf: Leaf, value: unknown): void {
  const path = leaf.split('.')
  const last = path.pop() as string
  let dict = session as Dict
  for (const part of path) {
    if (value === undefined && dict[part] === undefined) return
    dict[part] ??= {}
    dict = dict[part] as Dict
  }
  if (value === undefined) delete dict[last]
  else dict[last] = value
}

/** Before the ids of sessions, in the keys of memcached. */
export const PREFIX = 'sess:'

/** Logins are told apart by what follows the user's name. */
export function userOf(session: unknown): string | undefined {
  const { user } = session as Dict
  return typeof user === 'string' ? user.split('#')[0] : undefined
}
