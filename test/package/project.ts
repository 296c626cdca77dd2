import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
export const tsc: string = join(root, 'node_modules/typescript/bin/tsc')

/**
 * An empty project into which the packed package was installed as a user would. `npm run test:all` has built
 * it: building here would pull `dist` away from under the files that run beside this one.
 */
export class Project {
  readonly folder: string
  /** What the package holds: paths. */
  readonly contents: readonly string[]

  private constructor(folder: string, contents: readonly string[]) {
    this.folder = folder
    this.contents = contents
  }

  /** @param packages - to be installed beside ours; those of our development in our version. */
  static async create(packages: readonly string[]): Promise<Project> {
    const folder = await mkdtemp(join(tmpdir(), 'project-'))
    const packing = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
    const [tarball] = JSON.parse((await run('npm', packing, { cwd: root })).stdout)
    const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const others = packages.map(name => (name in devDependencies ? `${name}@${devDependencies[name]}` : name))
    await run('npm', ['init', '-y'], { cwd: folder })
    const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund']
    await run('npm', ['install', ...flags, `./${tarball.filename}`, ...others], { cwd: folder })
    const contents = tarball.files.map((file: { path: string }) => file.path)
    return new Project(folder, contents)
  }

  write(name: string, text: string): Promise<void> {
    return writeFile(join(this.folder, name), text)
  }

  /** Runs a file with Node, and gives what it printed. */
  async node(file: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
    return run(process.execPath, [file, ...args], { cwd: this.folder })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
