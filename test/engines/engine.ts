import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Memcached } from '../support/memcached.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/until.ts'

const CONFIGURATIONS = new URL('../../docs/servers/', import.meta.url)

/** Is this program installed? */
export function isInstalled(program: string): boolean {
  return spawnSync('which', [program]).status === 0
}

/** Not every program that listens answers yet. */
async function answers(address: { port: number; host: string }): Promise<boolean> {
  const socket = connect(address, () => socket.write('version\r\n'))
  socket.setTimeout(200, () => socket.destroy())
  const answer = await Promise.race([once(socket, 'data'), once(socket, 'close')]).catch(() => [])
  socket.destroy()
  return String(answer[0]).startsWith('VERSION')
}

/** A program that keeps what the store stores, started with a configuration of `docs/servers/`. */
class Program implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #folder: string

  private constructor(process: ChildProcess, folder: string) {
    this.#process = process
    this.#folder = folder
  }

  /** @param adapt - gives it other ports than the page has. */
  static async start(
    file: string,
    adapt: (text: string, folder: string) => string,
    command: (config: string) => string[],
    address: { port: number; host: string },
  ): Promise<Program> {
    const folder = mkdtempSync(join(tmpdir(), 'engine-'))
    const config = join(folder, file)
    writeFileSync(config, adapt(readFileSync(new URL(file, CONFIGURATIONS), 'utf8'), folder))
    const [name, ...args] = command(config) as [string, ...string[]]
    const child = spawn(name, args, { stdio: 'ignore', cwd: folder })
    const killed = (): boolean => child.kill('SIGKILL')
    process.once('exit', killed)
    child.once('exit', () => process.off('exit', killed))
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`)
      return answers(address)
    })
    return new Program(child, folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const gone = once(this.#process, 'exit')
      this.#process.kill('SIGKILL')
      await gone
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** twemproxy before three memcached processes. */
export class Twemproxy implements AsyncDisposable {
  readonly address: string
  readonly backends: readonly Memcached[]
  readonly #program: Program

  private constructor(address: string, backends: readonly Memcached[], program: Program) {
    this.address = address
    this.backends = backends
    this.#program = program
  }

  static async start(): Promise<Twemproxy> {
    const backends = await Promise.all([Memcached.start(), Memcached.start(), Memcached.start()])
    const [port, statistics] = [await freePort(), await freePort()]
    const adapt = (text: string): string =>
      backends
        .reduce((config, { port }, index) => config.replace(`:${11211 + index}:1`, `:${port}:1`), text)
        .replaceAll('22121', `${port}`)
    const command = (config: string): string[] =>
      `nutcracker -c ${config} -o ${config}.log -a 127.0.0.1 -s ${statistics}`.split(' ')
    const program = await Program.start('twemproxy.yml', adapt, command, { port, host: '127.0.0.1' })
    return new Twemproxy(`127.0.0.1:${port}`, backends, program)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]()
    await Promise.all(this.backends.map(backend => backend.kill()))
  }
}

/** A memcached built with `--enable-proxy`, as Debian's is not. */
const MEMCACHED_WITH_PROXY: string = process.env.MEMCACHED_WITH_PROXY ?? 'memcached'

export const hasMemcachedProxy: boolean = /\bproxy_config\b/.test(
  String(spawnSync(MEMCACHED_WITH_PROXY, ['-h']).stdout),
)

/** memcached's own proxy before three memcached processes. */
export class MemcachedProxy implements AsyncDisposable {
  readonly address: string
  readonly backends: readonly Memcached[]
  readonly #program: Program

  private constructor(address: string, backends: readonly Memcached[], program: Program) {
    this.address = address
    this.backends = backends
    this.#program = program
  }

  static async start(): Promise<MemcachedProxy> {
    const backends = await Promise.all([Memcached.start(), Memcached.start(), Memcached.start()])
    const port = await freePort()
    const adapt = (text: string): string =>
      backends.reduce((config, { port }, index) => config.replace(`:${11211 + index}'`, `:${port}'`), text)
    const command = (config: string): string[] =>
      `${MEMCACHED_WITH_PROXY} -u root -l 127.0.0.1 -p ${port} -U 0 -o proxy_config=${config}`.split(' ')
    const program = await Program.start('memcached-proxy.lua', adapt, command, { port, host: '127.0.0.1' })
    return new MemcachedProxy(`127.0.0.1:${port}`, backends, program)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]()
    await Promise.all(this.backends.map(backend => backend.kill()))
  }
}

/** A yrmcds by itself. */
export class Yrmcds implements AsyncDisposable {
  readonly address: string
  readonly #program: Program

  private constructor(address: string, program: Program) {
    this.address = address
    this.#program = program
  }

  static async start(): Promise<Yrmcds> {
    const [port, replication] = [await freePort(), await freePort()]
    const adapt = (text: string, folder: string): string =>
      text
        .replace('virtual_ip = 10.0.0.10', 'virtual_ip = 127.0.0.1')
        .replace('port = 11211', `port = ${port}`)
        .replace('repl_port = 11213', `repl_port = ${replication}`)
        .replace('/var/tmp/yrmcds', folder)
        .replace('1024M', '64M')
    const command = (config: string): string[] => ['yrmcdsd', '-f', config]
    const program = await Program.start('yrmcds.conf', adapt, command, { port, host: '127.0.0.1' })
    return new Yrmcds(`127.0.0.1:${port}`, program)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#program[Symbol.asyncDispose]()
  }
}

/** A memcached that wants a login over text (`-Y`). */
export class LoginMemcached implements AsyncDisposable {
  readonly server: Memcached
  readonly #folder: string

  private constructor(server: Memcached, folder: string) {
    this.server = server
    this.#folder = folder
  }

  static async start(user: string, password: string): Promise<LoginMemcached> {
    const folder = mkdtempSync(join(tmpdir(), 'login-'))
    // memcached reads it as another user.
    spawnSync('chmod', ['755', folder])
    const file = join(folder, 'users')
    writeFileSync(file, `${user}:${password}\n`, { mode: 0o644 })
    return new LoginMemcached(await Memcached.start('-Y', file), folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** What MemCachier documents of its login over text: the first command is a `set` of the password under the user's name. */
export class MemCachier implements AsyncDisposable {
  readonly port: number
  /** First bytes of each connection. */
  readonly openings: string[]
  readonly #front: Server
  readonly #sockets: Set<Socket>
  readonly #memcached: Memcached

  private constructor(front: Server, sockets: Set<Socket>, openings: string[], memcached: Memcached) {
    this.port = (front.address() as AddressInfo).port
    this.openings = openings
    this.#front = front
    this.#sockets = sockets
    this.#memcached = memcached
  }

  static async start(user: string, password: string): Promise<MemCachier> {
    const memcached = await Memcached.start()
    const sockets = new Set<Socket>()
    const openings: string[] = []
    const front = createServer(client => {
      sockets.add(client.on('error', () => {}).on('close', () => sockets.delete(client)))
      client.once('data', opening => {
        openings.push(opening.toString('latin1'))
        const login = /^set (\S+) 0 0 (\d+)\r\n(.*)\r\n$/s.exec(openings.at(-1) as string)
        if (login === null) {
          client.destroy()
        } else if (login[1] !== user || login[3] !== password || Number(login[2]) !== password.length) {
          client.end('CLIENT_ERROR authentication failed\r\n')
        } else {
          client.write('STORED\r\n')
          const server = connect(memcached.port, '127.0.0.1')
          sockets.add(server.on('error', () => {}).on('close', () => sockets.delete(server)))
          client.pipe(server).pipe(client)
        }
      })
    }).listen(0, '127.0.0.1')
    await once(front, 'listening')
    return new MemCachier(front, sockets, openings, memcached)
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await once(this.#front.close(), 'close')
    await this.#memcached.kill()
  }
}
