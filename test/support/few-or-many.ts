/**
 * The size of a test: `few` where `npm test` checks, `many` where `npm run test:all` proves
 * (vitest.all.config.ts sets the variable).
 */
export function fewOrMany<T>(few: T, many: T): T {
  return process.env.TEST_ALL === '1' ? many : few
}
