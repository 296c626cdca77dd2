// PostgreSQL in a temporary folder, on a unix socket.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** Debian keeps its programs here, out of the path. */
const ROOT = '/usr/lib/postgresql'

/** Null where there is none. With its defaults: each write is on the disk before it is acknowledged. */
export async function startPostgres() {
  const version = existsSync(ROOT)
    ? readdirSync(ROOT)
        .map(Number)
        .sort((a, b) => b - a)[0]
    : undefined
  if (version === undefined) return null
  const bin = join(ROOT, `${version}`, 'bin')
  const folder = await mkdtemp(join(tmpdir(), 'bench-pg-'))
  const owner = ownerOf()
  if (owner.uid !== undefined) await chown(folder, owner.uid, /** @type {number} */ (owner.gid))
  const data = join(folder, 'data')
  const made = spawnSync(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust'], {
    ...owner,
    cwd: folder,
  })
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
  const flags = ['-D', data, '-k', folder, '-c', 'listen_addresses=']
  const child = spawn(join(bin, 'postgres'), flags, { ...owner, cwd: folder, stdio: 'ignore' })
  const kill = () => child.kill('SIGQUIT')
  process.once('exit', kill)
  const pool = new pg.Pool({ host: folder, user: 'postgres', database: 'postgres', max: 10 })
  pool.on('error', () => {})
  for (let tries = 0; ; tries++) {
    try {
      await pool.query('SELECT 1')
      break
    } catch (error) {
      if (tries === 100) throw error
      await sleep(50)
    }
  }
  return {
    pool,
    async stop() {
      await pool.end()
      const gone = once(child, 'exit')
      kill()
      await gone
      process.off('exit', kill)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** PostgreSQL does not run as root: then it is the user's of Debian's package. @returns {{ uid?: number, gid?: number }} */
function ownerOf() {
  if (process.getuid?.() !== 0) return {}
  const found = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))
  if (found === null) throw new Error('There is no user `postgres`')
  return { uid: Number(found[1]), gid: Number(found[2]) }
}
