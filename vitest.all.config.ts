import { defineConfig, type ViteUserConfig } from 'vitest/config'
import checks from './vitest.config.ts'

const { alias: _, ...test } = checks.test ?? {}

/** What proves: the same in full size, the slow ones too, on the built package: `npm run test:all`. */
const config: ViteUserConfig = defineConfig({
  test: {
    ...test,
    exclude: ['test/browser/**'],
    env: { TEST_ALL: '1' },
    maxWorkers: 3,
    isolate: true,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})

export default config
