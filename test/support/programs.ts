import { readFile, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { inject } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Makes JavaScript of all that tests run in processes of their own, once for all of them: to start one takes
 * 0.1 s of a core then, and 0.4 s with tsx. (With tsx Node 24 and 26 also lose an exception now and then that
 * was thrown in `process.nextTick`.) @returns where it lies.
 */
export async function buildPrograms(): Promise<string> {
  // Within the project, so that packages are found.
  const folder = join(ROOT, 'node_modules', '.cache', `test-programs-${process.pid}`)
  const { engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['test/**/*.child.ts', 'lib/cli/main.ts'],
    outbase: ROOT,
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    // Packages, too: to find and load the files of Express takes longer than all the rest of a start.
    external: ['pg-native'],
    banner: {
      js: `import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)`,
    },
    platform: 'node',
    format: 'esm',
    target: `node${engines.node.replace('>=', '')}`,
  })
  return folder
}

export async function removePrograms(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
}

/** The path of a `*.child.ts`, or of the command, as JavaScript that Node can run: `programOf(new URL('x.child.ts', import.meta.url))`. */
export function programOf(source: URL): string {
  return join(inject('programs'), relative(ROOT, fileURLToPath(source)).replace(/\.ts$/, '.mjs'))
}
