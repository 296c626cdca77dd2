// The servers of this machine, each on a free port of loopback.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** @typedef {'memcached' | 'redis' | 'mongod'} Kind */
/** @typedef {Partial<Record<Kind, Server>>} Servers */

/** @type {Record<Kind, { binary: string, flags: (port: number, folder: string) => string[] }>} */
const KINDS = {
  memcached: {
    binary: 'memcached',
    flags: port => [
      '-l',
      '127.0.0.1',
      '-p',
      `${port}`,
      '-U',
      '0',
      ...(process.getuid?.() === 0 ? ['-u', 'nobody'] : []),
    ],
  },
  redis: {
    binary: 'redis-server',
    flags: (port, folder) => [
      '--bind',
      '127.0.0.1',
      '--port',
      `${port}`,
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      folder,
    ],
  },
  mongod: {
    binary: 'mongod',
    flags: (port, folder) => ['--bind_ip', '127.0.0.1', '--port', `${port}`, '--dbpath', folder, '--quiet'],
  },
}

/** However this process ends, its servers end with it. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Server {
  /** @param {Kind} kind @param {number} port @param {string} folder @param {string[]} extra */
  constructor(kind, port, folder, extra) {
    this.kind = kind
    this.port = port
    this.folder = folder
    this.extra = extra
    /** @type {import('node:child_process').ChildProcess | undefined} */
    this.process = undefined
  }

  /** @param {Kind} kind @param {...string} extra flags of the server's own @returns {Promise<Server>} */
  static async start(kind, ...extra) {
    const folder = await mkdtemp(join(tmpdir(), `bench-${kind}-`))
    const server = new Server(kind, await freePort(), folder, extra)
    await server.launch()
    return server
  }

  /** Starts it (again), on the port it had. */
  async launch() {
    const { binary, flags } = KINDS[this.kind]
    const child = spawn(binary, [...flags(this.port, this.folder), ...this.extra], { stdio: 'ignore' })
    this.process = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    const end = Date.now() + 10_000
    while (!(await answers(this.port))) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`${binary} did not start`)
      await sleep(10)
    }
  }

  freeze() {
    this.process?.kill('SIGSTOP')
  }

  thaw() {
    this.process?.kill('SIGCONT')
  }

  async kill() {
    const child = this.process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async stop() {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** @param {Kind} kind */
export const has = kind => spawnSync(KINDS[kind].binary, ['--version']).status === 0

/** One of each kind that this machine has. @returns {Promise<{ servers: Servers, missing: Kind[] }>} */
export async function startServers() {
  /** @type {Servers} */
  const servers = {}
  /** @type {Kind[]} */
  const missing = []
  for (const kind of /** @type {Kind[]} */ (Object.keys(KINDS))) {
    if (has(kind)) servers[kind] = await Server.start(kind, ...(kind === 'memcached' ? ['-m', '2048'] : []))
    else missing.push(kind)
  }
  return { servers, missing }
}

/** @param {Servers} servers */
export async function stopServers(servers) {
  await Promise.all(Object.values(servers).map(server => server.stop()))
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address())
  probe.close()
  await once(probe, 'close')
  return port
}

/** @param {number} port @returns {Promise<boolean>} */
function answers(port) {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Their versions. @param {Servers} servers @returns {string} */
export function describe(servers) {
  return Object.values(servers)
    .map(({ kind }) => {
      const said = spawnSync(KINDS[kind].binary, ['--version'], { encoding: 'utf8' }).stdout
      return `${kind} ${/\d+\.\d+\.\d+/.exec(said)?.[0] ?? ''}`
    })
    .join(', ')
}
