import { execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { freePort } from '../support/port.ts'
import { Page } from './page.ts'
import { PastedApp } from './pasted-app.ts'

// Moves as docs/moving-in.md shows, with the real packages of the stores: bench/ has them (`npm ci --prefix bench`).

const root = fileURLToPath(new URL('../..', import.meta.url))
const peers = join(root, 'bench/node_modules')
const hasPeers = existsSync(join(peers, 'connect-memcached'))
const hasRedis = spawnSync('redis-server', ['--version']).status === 0
const run = promisify(execFile)

const title = `docs/moving-in.md${hasPeers ? '' : ' (needs npm ci --prefix bench)'}`

describe.skipIf(!hasMemcached || !hasPeers)(title, () => {
  let page: Page
  let folder: string
  let servers: Memcached[]
  let addresses: string[]

  beforeAll(async () => {
    page = await Page.read('docs/moving-in.md')
    folder = await mkdtemp(join(tmpdir(), 'moving-in-'))
    const modules = join(folder, 'node_modules')
    await mkdir(modules)
    for (const name of await readdir(peers)) await symlink(join(peers, name), join(modules, name))
    await symlink(root, join(modules, 'express-session-memcached'))
    servers = await Promise.all([Memcached.start(), Memcached.start(), Memcached.start()])
    addresses = servers.map(({ address }) => address)
  })

  afterAll(async () => {
    await Promise.all(servers.map(server => server.kill()))
    await rm(folder, { recursive: true })
  })

  const redisUrl = 'redis://127.0.0.1:6379'

  /** What a page shows, with servers of the test's own. */
  function atHome(code: string, among: readonly string[], redis = redisUrl): string {
    return code
      .replaceAll(/\['127.0.0.1:11211'\]/g, JSON.stringify(among))
      .replaceAll('127.0.0.1:11211', among[0] as string)
      .replaceAll(redisUrl, redis)
  }

  /** What the program says to a visitor who has seen it twice before the change; and if it is taken back. */
  async function afterTheMove(
    diff: string,
    among: readonly string[],
    { redis = redisUrl, move = async () => {} }: { redis?: string; move?: () => Promise<unknown> } = {},
  ): Promise<{ said: string; back: () => Promise<string> }> {
    const lines = atHome(diff, among, redis).split('\n')
    const side = (other: string): string =>
      lines
        .filter(line => !line.startsWith(other))
        .map(line => line.slice(1))
        .join('\n')
    await writeFile(join(folder, 'before.mjs'), side('+'))
    await writeFile(join(folder, 'after.mjs'), side('-'))
    let cookie: string
    {
      await using before = await PastedApp.start(folder, 'before.mjs')
      cookie = (await before.visit()).cookie
      expect((await before.visit(cookie)).text).toBe('You have been here 2 times')
    }
    await move()
    await using after = await PastedApp.start(folder, 'after.mjs')
    const said = (await after.visit(cookie)).text
    const back = async (): Promise<string> => {
      await using again = await PastedApp.start(folder, 'before.mjs')
      return (await again.visit(cookie)).text
    }
    return { said, back }
  }

  const stays = 'You have been here 3 times'
  const isGone = 'You have been here 1 times'

  /** Each visitor may be on another server: several are tried. */
  const visitors = Array.from({ length: 3 }, (_, number) => number)

  test('from connect-memcached, sessions are read', async () => {
    const diff = page.snippet('diff', 'connect-memcached')
    const { said, back } = await afterTheMove(diff, addresses.slice(0, 1))
    expect(said).toBe(stays)
    expect(await back()).toContain('Error')
    for (const _ of visitors) expect(await afterTheMove(diff, addresses)).toMatchObject({ said: stays })
  })

  test('what connect-memcached encrypted is not read', async () => {
    const diff = page
      .snippet('diff', 'connect-memcached')
      .replace("hosts: ['", "secret: 'aB3$fGh7!kLmN0pQ9#zZ', hosts: ['")
    expect(await afterTheMove(diff, addresses.slice(0, 1))).toMatchObject({ said: isGone })
  })

  test('from connect-memjs, sessions are read', async () => {
    const { said, back } = await afterTheMove(page.snippet('diff', 'connect-memjs'), addresses.slice(0, 1))
    expect(said).toBe(stays)
    expect(await back()).toBe('You have been here 4 times')
  })

  test('from connect-memjs on several servers, with the client', async () => {
    const diff = page
      .snippet('diff', 'connect-memjs')
      .replace(/^/, " import memjs from 'memjs'\n")
      .replace('-const store', ` const client = memjs.Client.create('${addresses}')\n-const store`)
      .replace(/^-const store.*$/m, '-const store = new MemcachedStore({ client })')
      .replace(/^\+const store.*$/m, "+const store = new MemcachedStore({ client, prefix: '' })")
    for (const _ of visitors) expect(await afterTheMove(diff, addresses)).toMatchObject({ said: stays })
  })

  test.runIf(hasRedis)('from connect-redis, sessions can be copied', async () => {
    const port = await freePort()
    const flags = ['--bind', '127.0.0.1', '--port', `${port}`, '--save', '', '--dir', folder]
    const server = spawn('redis-server', flags, { stdio: 'ignore' })
    onTestFinished(() => void server.kill('SIGKILL'))
    const redis = `redis://127.0.0.1:${port}`
    const diff = page.snippet('diff', 'connect-redis')
    expect(await afterTheMove(diff, addresses, { redis })).toMatchObject({ said: isGone })
    const copying = atHome(page.snippet('js', 'from.all()'), addresses, redis)
    await writeFile(join(folder, 'copy.mjs'), copying)
    const move = (): Promise<unknown> => run(process.execPath, ['copy.mjs'], { cwd: folder })
    expect(await afterTheMove(diff, addresses, { redis, move })).toMatchObject({ said: stays })
  })

  test('from MemoryStore, sessions are gone', async () => {
    const diff = page.snippet('diff', '-app.use')
    expect(await afterTheMove(diff, addresses)).toMatchObject({ said: isGone })
  })

  test.runIf(hasRedis)('leaves nothing out', () => expect(page.leftOut).toEqual([]))
})
