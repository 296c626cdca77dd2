type Dict = Record<string, unknown>

/** Sets what is at `a.b.c`, and what is on the way there; undefined deletes it. */
export function setPath(target: Dict, path: string, value: unknown): void {
  const keys = path.split('.')
  const last = keys.pop() as string
  let at = target
  for (const key of keys) {
    at[key] ??= {}
    at = at[key] as Dict
  }
  if (value === undefined) delete at[last]
  else at[last] = value
}

/** What is at `a.b.c`; undefined where nothing is. */
export function getPath(target: unknown, path: string): unknown {
  return path.split('.').reduce((at, key) => (at as Dict | undefined)?.[key], target)
}
