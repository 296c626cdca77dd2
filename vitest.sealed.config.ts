import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import checks from './vitest.config.ts'

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const index = path('lib/index.ts')
const sealed = path('test/sealing/sealed-index.ts')

/** These look for a session, or the order of servers, by the id that a plain key shows. */
const BY_KEY = [
  'several servers',
  'with one of three servers dead',
  'keeps the lock for longer than its lease',
  'no session outlives its life by more than',
  'nor over a save, in memcached either',
  'that another gives outlives a touch of who knows none',
  'a longer life is kept by',
  'shows in a tombstone that is not empty',
  'keeps the index for as long as it lives',
]

/** The tests of overlap, users, locks and the contract on stores that seal everything: `npm run test:sealed`. */
const config: ViteUserConfig = defineConfig({
  plugins: [
    {
      name: 'sealed',
      enforce: 'pre',
      async resolveId(source, importer, options) {
        if (!source.endsWith('/index.ts') || importer === sealed) return null
        const resolved = await this.resolve(source, importer, { ...options, skipSelf: true })
        return resolved?.id === index ? sealed : resolved
      },
    },
  ],
  test: {
    ...checks.test,
    env: { TEST_SEALED: '1' },
    include: ['overlap', 'users', 'locks', 'contract'].map(room => `test/${room}/*.test.ts`),
    testNamePattern: new RegExp(`^(?!.*(?:${BY_KEY.join('|')}))`),
  },
})

export default config
