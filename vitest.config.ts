import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(`lib/${path}`, import.meta.url))

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
    testTimeout: 30_000,
    hookTimeout: 30_000,
    coverage: { include: ['lib/**'] },
  },
})

export default config
