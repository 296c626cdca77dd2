import { defineConfig, type UserConfig } from 'tsdown'

const config: UserConfig = defineConfig({
  entry: { index: 'lib/index.ts', embedded: 'lib/embedded/index.ts' },
  format: ['esm', 'cjs'],
  platform: 'node',
  target: 'node20.19',
  dts: { oxc: true },
  fixedExtension: false,
  sourcemap: false,
  clean: true,
})

export default config
