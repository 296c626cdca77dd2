import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const source = (path: string): string => fileURLToPath(new URL(`lib/${path}`, import.meta.url))

/** Those that wait longest, for 10 s and more. */
const LONG = /memcached\/node-|cluster\/listing|overlap\/late-save|listing\/refused|faults\/tls/

/** Begins with them: else, where no run before has told, they are what all others wait for in the end. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): number => Number(LONG.test(moduleId))
    return (await super.sort(files)).sort((one, other) => isLong(other) - isLong(one))
  }
}

/** What checks, in a minute: `npm test`. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Slow ones are for `npm run test:all`, those that need a browser for `npm run test:browser`.
    exclude: ['test/**/*.slow.test.ts', 'test/browser/**'],
    // The example app imports the package by its name. Here that is the source, so that nothing is to be built.
    alias: {
      'express-session-memcached/discovery': source('discovery/index.ts'),
      'express-session-memcached/embedded': source('embedded/index.ts'),
      'express-session-memcached/fastify': source('fastify/index.ts'),
      'express-session-memcached': source('index.ts'),
    },
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    // Tests wait more than they compute; and files share a process, since a start is what costs most.
    maxWorkers: 7,
    isolate: false,
    sequence: { sequencer: LongFirst },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    coverage: { include: ['lib/**'] },
  },
})

export default config
