import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** The tour of the example app in a real Chromium: `npm run test:browser`. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    passWithNoTests: true,
  },
})

export default config
