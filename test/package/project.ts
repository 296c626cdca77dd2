import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
export const tsc: string = join(root, 'node_modules/typescript/bin/tsc')

const FLAGS = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund']

/** Packs what is built into a folder. */
async function pack(folder: string): Promise<{ filename: string; contents: readonly string[] }> {
  const packing = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
  const [{ filename, files }] = JSON.parse((await run('npm', packing, { cwd: root })).stdout)
  return { filename, contents: files.map((file: { path: string }) => file.path) }
}

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

  /**
   * With the packages of test/consumers, as its lock has them. Ours is unpacked beside them, which spares a second
   * round of npm; that it installs is seen where `create` is used.
   */
  static async ofConsumers(): Promise<Project> {
    const folder = await mkdtemp(join(tmpdir(), 'consumers-'))
    const consumers = join(root, 'test/consumers')
    for (const file of ['package.json', 'package-lock.json'])
      await cp(join(consumers, file), join(folder, file))
    await cp(join(consumers, 'apps'), folder, { recursive: true })
    const tarball = await pack(folder)
    await run('npm', ['ci', ...FLAGS], { cwd: folder })
    const place = join(folder, 'node_modules/express-session-memcached')
    await mkdir(place)
    await run('tar', ['-xzf', tarball.filename, '-C', place, '--strip-components=1'], { cwd: folder })
    return new Project(folder, tarball.contents)
  }

  /** @param packages - to be installed beside ours; those of our development in our version. */
  static async create(packages: readonly string[]): Promise<Project> {
    const folder = await mkdtemp(join(tmpdir(), 'project-'))
    const tarball = await pack(folder)
    const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const others = packages.map(name => (name in devDependencies ? `${name}@${devDependencies[name]}` : name))
    await run('npm', ['init', '-y'], { cwd: folder })
    await run('npm', ['install', ...FLAGS, `./${tarball.filename}`, ...others], { cwd: folder })
    return new Project(folder, tarball.contents)
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
