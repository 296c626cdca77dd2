/**
 * The options of one call; null and undefined are none.
 *
 * @throws TypeError - for an option that is not known: one that is misspelt would be none.
 */
export function readCallOptions<T extends object>(
  options: T | null | undefined,
  known: readonly (keyof T & string)[],
): Partial<T> {
  if (options === null || options === undefined) return {}
  if (typeof options !== 'object') {
    throw new TypeError(`Expected \`options\` to be an object, got (${typeof options})`)
  }
  for (const name of Object.keys(options)) {
    if ((known as readonly string[]).includes(name)) continue
    throw new TypeError(`Unknown option \`${name}\`. Known are ${known.join(', ')}`)
  }
  return options
}
