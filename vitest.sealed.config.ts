import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import checks from './vitest.config.ts'

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const index = path('lib/index.ts')
const sealed = path('test/sealing/sealed-index.ts')

/** Tests of stores that seal nothing, on stores that seal everything: `npm run test:sealed`. */
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
    include: ['overlap', 'users', 'locks', 'contract', 'simulation'].map(room => `test/${room}/*.test.ts`),
  },
})

export default config
