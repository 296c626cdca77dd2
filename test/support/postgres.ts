import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { until } from './until.ts'

/** A real PostgreSQL in a temporary folder, on a unix socket, to be tormented. */
export class Postgres {
  /** What `pg` takes for `host`. */
  readonly host: string
  readonly #bin: string
  readonly #owner: Owner
  #process: ChildProcess

  private constructor(host: string, bin: string, owner: Owner, process: ChildProcess) {
    this.host = host
    this.#bin = bin
    this.#owner = owner
    this.#process = process
  }

  static async start(): Promise<Postgres> {
    const bin = await binaries()
    const owner = await ownerOf()
    const folder = await mkdtemp(join(tmpdir(), 'pg-'))
    if (owner.uid !== undefined) await chown(folder, owner.uid, owner.gid as number)
    const made = spawnSync(
      join(bin, 'initdb'),
      [
        '-D',
        join(folder, 'data'),
        '-U',
        'postgres',
        '-A',
        'trust',
        '--no-sync',
        '-E',
        'UTF8',
        '--locale',
        'C',
      ],
      { ...owner, cwd: folder, encoding: 'utf8' },
    )
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
    return new Postgres(folder, bin, owner, await launch(bin, owner, folder))
  }

  /** Stops it as an administrator does who cannot wait (SIGINT, "fast"), or at once, as a crash would (SIGQUIT, "immediate"). */
  async stop(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const gone = once(this.#process, 'exit')
    this.#process.kill(signal)
    await gone
  }

  async restart(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    await this.stop(signal)
    this.#process = await launch(this.#bin, this.#owner, this.host)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.host, { recursive: true, force: true })
  }
}

/** Whose processes they are: PostgreSQL refuses to run as root. */
interface Owner {
  readonly uid?: number
  readonly gid?: number
}

async function ownerOf(): Promise<Owner> {
  if (process.getuid?.() !== 0) return {}
  const [, uid, gid] = /^postgres:[^:]*:(\d+):(\d+):/m.exec(await readFile('/etc/passwd', 'utf8')) ?? []
  if (uid === undefined || gid === undefined)
    throw new Error('Expected a user `postgres`, as Debian makes it')
  return { uid: Number(uid), gid: Number(gid) }
}

/** Debian keeps them out of the path. */
async function binaries(): Promise<string> {
  const root = '/usr/lib/postgresql'
  const versions = await readdir(root).catch(() => [])
  const newest = versions.map(Number).sort((a, b) => b - a)[0]
  if (newest === undefined) throw new Error('No PostgreSQL on this machine (apt-get install postgresql)')
  return join(root, String(newest), 'bin')
}

async function launch(bin: string, owner: Owner, folder: string): Promise<ChildProcess> {
  const flags = ['-D', join(folder, 'data'), '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off']
  const child = spawn(join(bin, 'postgres'), flags, {
    ...owner,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr?.on('data', chunk => {
    complaint += chunk
  })
  const killed = (): boolean => child.kill('SIGKILL')
  process.once('exit', killed)
  child.once('exit', () => process.off('exit', killed))
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`PostgreSQL ended with ${child.exitCode}: ${complaint}`)
    return answers(folder)
  }, 30_000)
  return child
}

async function answers(host: string): Promise<boolean> {
  const client = new Client({ host, user: 'postgres', database: 'postgres' })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}
