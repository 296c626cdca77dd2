/** @throws TypeError - for an id that is no string. */
export function checkId(sid: unknown): asserts sid is string {
  if (typeof sid !== 'string') throw new TypeError(`Expected \`sid\` to be a string, got (${typeof sid})`)
}
