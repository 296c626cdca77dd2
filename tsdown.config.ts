import { defineConfig, type UserConfig } from 'tsdown'

const common: UserConfig = {
  platform: 'node',
  target: 'node20.19',
  fixedExtension: false,
  sourcemap: false,
}

const configs: UserConfig[] = defineConfig([
  {
    ...common,
    entry: {
      index: 'lib/index.ts',
      discovery: 'lib/discovery/index.ts',
      embedded: 'lib/embedded/index.ts',
      fastify: 'lib/fastify/index.ts',
    },
    format: ['esm', 'cjs'],
    dts: { oxc: true },
    clean: true,
  },
  // The command stands alone: shared chunks would have names of their own in the package.
  { ...common, entry: { cli: 'lib/cli/main.ts' }, format: 'esm', dts: false, clean: false },
])

export default configs
