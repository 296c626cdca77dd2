import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { ask, fill, key, read, session, stats, write } from './text-protocol.ts'

// What docs/running-memcached.md says about each flag, seen on the memcached of this machine.

const isRoot: boolean = process.getuid?.() === 0
const asNobody: string[] = isRoot ? ['-u', 'nobody'] : []
const help: string = hasMemcached ? spawnSync('memcached', ['-h'], { encoding: 'utf8' }).stdout : ''

async function start(...flags: string[]): Promise<Memcached> {
  const server = await Memcached.start(...flags)
  onTestFinished(() => server.kill())
  return server
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'memcached-flags-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  await chmod(path, 0o777)
  return path
}

/** Starts `memcached -d`: how that ended, the port of the daemon it left, and when that one is gone. */
async function inBackground(...flags: string[]): Promise<{
  status: number
  complaint: string
  port: () => Promise<number>
  gone: Promise<unknown>
}> {
  const file = join(await folder(), 'port')
  const child = spawn('memcached', ['-d', ...asNobody, '-l', '127.0.0.1', ...flags], {
    env: { ...process.env, MEMCACHED_PORT_FILENAME: file },
    // The daemon keeps the last of these open as long as it lives.
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  const [, , complaints, life] = child.stdio as unknown as Readable[]
  const gone = once(life as Readable, 'close')
  ;(life as Readable).resume()
  const [[status], complaint] = await Promise.all([once(child, 'exit'), text(complaints as Readable)])
  const read = (): Promise<string> => readFile(file, 'utf8').catch(() => '')
  const port = async (): Promise<number> =>
    Number(await until(async () => /^TCP INET: (\d+)$/m.exec(await read())?.[1]))
  return { status, complaint, port, gone }
}

describe.skipIf(!hasMemcached)('docs/running-memcached.md', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
  })

  test('documents flags and defaults that this memcached has', async () => {
    const text = await readFile(new URL('../../docs/running-memcached.md', import.meta.url), 'utf8')
    const rows = [...text.matchAll(/^\| `(-\w)[^`]*` +\| (?:`([^`]*)`)?/gm)]
    expect(rows.map(row => row[1])).toEqual(['-d', '-m', '-M', '-u', '-l', '-p', '-c', '-P', '-f', '-I'])
    for (const [, flag, standard] of rows) {
      const line = help.split(/\n(?=-)/).find(entry => entry.startsWith(`${flag},`))
      expect(line).toBeDefined()
      if (standard !== undefined) expect(line).toContain(`default: ${standard}`)
    }
  })

  test('shows commands that start', async () => {
    const text = await readFile(new URL('../../docs/running-memcached.md', import.meta.url), 'utf8')
    const commands = text.matchAll(/(?:^|bin\/|do |alpine )memcached (-[^\n;#]*)/gm)
    const shown = [...commands].map(([, flags = '']) => flags.trim().split(/\s+/))
    expect(shown).toHaveLength(5)
    for (const flags of shown) {
      const own = flags
        .join(' ')
        .replace(/-d |-l \S+|-p \S+/g, '')
        .replace(/-e \S+/, `-e ${join(await folder(), 'memory')}`)
      await start(...own.split(' ').filter(flag => flag !== ''))
    }
  })

  test('-m: a full memory drops the session used longest ago, and counts it', async () => {
    const { port } = await start('-m', '2')
    expect(await fill(port, 6000)).toBe(0)
    const { curr_items, evictions } = await stats(port)
    expect(Number(curr_items)).toBe(2 * 2184)
    expect(Number(evictions)).toBe(6000 - 2 * 2184)
    expect(await ask(port, `get ${key(0)}\r\n`)).toBe('END\r\n')
    expect(await ask(port, `get ${key(5999)}\r\n`)).toContain(session)
    expect(await stats(port, 'items')).toHaveProperty('items:8:evicted_time')
  })

  test('-M: a full memory refuses new sessions and loses those that change', async () => {
    const { port } = await start('-m', '2', '-M')
    expect(await fill(port, 6000)).toBe(6000 - 2 * 2184)
    expect((await stats(port)).evictions).toBe('0')
    expect(await ask(port, `get ${key(0)}\r\n`)).toContain(session)
    const change = async (command: 'set' | 'replace'): Promise<string> =>
      ask(port, `${write(command, 0, session.toUpperCase())}get ${key(0)}\r\n`)
    const refused = 'SERVER_ERROR out of memory storing object\r\n'
    expect(await change('replace')).toBe(`${refused}VALUE ${key(0)} 0 361\r\n${session}\r\nEND\r\n`)
    expect(await change('set')).toBe(`${refused}END\r\n`)
  })

  test('-I: a session of 1.5 MB needs it, and is lost without it', async () => {
    const large = 'v'.repeat(1_500_000)
    const answers = async (...flags: string[]): Promise<string> =>
      ask((await start(...flags)).port, `${write('set', 1, 'old')}${write('set', 1, large)}get ${key(1)}\r\n`)
    expect(await answers()).toBe('STORED\r\nSERVER_ERROR object too large for cache\r\nEND\r\n')
    expect(await answers('-I', '2m')).toContain(large)
  })

  test('-I: key and bookkeeping count, 96 bytes for a session key', async () => {
    const { port } = await start()
    expect(await ask(port, write('set', 1, 'v'.repeat(1024 * 1024 - 96)))).toBe('STORED\r\n')
    expect(await ask(port, write('set', 1, 'v'.repeat(1024 * 1024 - 95)))).toMatch('too large')
  })

  test('-I: more than half of -m does not start', () => {
    const { status, stderr } = spawnSync('memcached', [...asNobody, '-m', '3', '-I', '2m'], {
      encoding: 'utf8',
    })
    expect(stderr).toMatch('1/2 of memory max')
    expect(status).not.toBe(0)
  })

  test.each([
    ['1.25', 480],
    ['1.05', 464],
    ['2', 768],
  ])('-f %s: a session of 361 bytes takes %d', async (factor, size) => {
    const { port } = await start('-f', factor)
    await ask(port, write('set', 1, session))
    expect((await stats(port)).bytes).toBe('457')
    const chunks = Object.entries(await stats(port, 'slabs')).filter(([name]) => name.endsWith(':chunk_size'))
    expect(chunks.map(chunk => chunk[1])).toEqual([String(size)])
  })

  test('-c: a connection too many is told so, closed and counted', async () => {
    const { port } = await start('-c', '60')
    const sockets: Socket[] = []
    const answers: string[] = []
    for (let number = 0; number < 60; number++) {
      const socket = connectTcp(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write('version\r\n')
      sockets.push(socket)
      // What was sent may meet the closed end, and take the answer with it.
      answers.push(
        await new Promise<string>(resolve => {
          socket.once('data', data => resolve(String(data)))
          socket.once('close', () => resolve(''))
        }),
      )
    }
    const accepted = answers.filter(answer => answer.startsWith('VERSION')).length
    // Four threads and the listener cost memcached some 25 of its own.
    expect(accepted).toBeGreaterThanOrEqual(30)
    expect(accepted).toBeLessThan(60)
    const refusals = answers.slice(accepted).filter(answer => answer !== '')
    expect(new Set(refusals)).toEqual(new Set(['ERROR Too many open connections\r\n']))
    for (const socket of sockets) socket.destroy()
    // One that asks too soon is one too many, too.
    const told = await until(async () => (await stats(port).catch(() => undefined))?.rejected_connections)
    expect(Number(told)).toBeGreaterThanOrEqual(60 - accepted)
  })

  test('-p, -l: it listens there and nowhere else', async () => {
    const { port } = await start()
    expect(await ask(port, 'version\r\n')).toMatch(/^VERSION /)
    await expect(ask(port, 'version\r\n', '127.0.0.2')).rejects.toThrow()
    expect(help).toContain('INADDR_ANY')
  })

  test.runIf(isRoot)('-u: root has to name the user it becomes', async () => {
    const refused = spawnSync('memcached', ['-l', '127.0.0.1', '-p', '-1'], { encoding: 'utf8' })
    expect(refused.stderr).toMatch('-u')
    expect(refused.status).not.toBe(0)
    const { pid } = await start()
    expect(spawnSync('ps', ['-o', 'user=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()).toBe(
      'nobody',
    )
  })

  test('-d, -P: it goes to the background and leaves its pid', async () => {
    const pidFile = join(await folder(), 'pid')
    const { status, port } = await inBackground('-p', '-1', '-P', pidFile)
    expect(status).toBe(0)
    const { pid } = await stats(await port())
    onTestFinished(() => void process.kill(Number(pid), 'SIGKILL'))
    expect(await until(() => readFile(pidFile, 'utf8').catch(() => ''))).toBe(`${pid}\n`)
  })

  test('-P: a file that cannot be written is missing without a word', async () => {
    const { status, complaint, port } = await inBackground('-p', '-1', '-P', '/nonexistent/pid')
    expect([status, complaint]).toEqual([0, ''])
    const { pid } = await stats(await port())
    process.kill(Number(pid), 'SIGKILL')
  })

  test('-d: a start that fails says nothing', async () => {
    const { port } = await start()
    const flags = [...asNobody, '-l', '127.0.0.1', '-p', String(port)]
    const inFront = spawnSync('memcached', flags, { encoding: 'utf8' })
    expect(inFront.stderr).toMatch('Address already in use')
    expect(inFront.status).not.toBe(0)
    const { status, complaint, gone } = await inBackground('-p', String(port))
    expect([status, complaint]).toEqual([0, ''])
    await gone
  })

  test.runIf(help.includes('-e,'))('-e: stopped with SIGUSR1, it starts with what it had', async () => {
    const file = join(await folder(), 'memory')
    const run = async (): Promise<{ port: number; gone: Promise<unknown> }> => {
      const { port, gone } = await inBackground('-p', '-1', '-e', file)
      return { port: await port(), gone }
    }
    const first = await run()
    await ask(first.port, write('set', 1, session))
    process.kill(Number((await stats(first.port)).pid), 'SIGUSR1')
    await first.gone
    const stopped = Date.now()
    // It counts whole seconds since it was stopped, and takes none for a clock that was set back.
    await until(() => Date.now() > stopped + 2000)
    const second = await run()
    expect(await ask(second.port, `get ${key(1)}\r\n`)).toContain(session)
    process.kill(Number((await stats(second.port)).pid), 'SIGKILL')
    await second.gone
    const third = await run()
    expect(await ask(third.port, `get ${key(1)}\r\n`)).toBe('END\r\n')
    process.kill(Number((await stats(third.port)).pid), 'SIGKILL')
  })

  test('-F: nobody flushes', async () => {
    expect(await ask((await start('-F')).port, 'flush_all\r\n')).toMatch('flush_all not allowed')
    expect(await ask((await start()).port, 'flush_all\r\n')).toBe('OK\r\n')
  })

  test('-X: nobody lists the keys', async () => {
    expect(await ask((await start('-X')).port, 'lru_crawler metadump hash\r\n')).toMatch('not allowed')
  })

  test('-S: without a password nothing is read', async () => {
    const path = await folder()
    await writeFile(join(path, 'memcached.conf'), 'mech_list: plain\n')
    vi.stubEnv('SASL_CONF_PATH', path)
    const { port } = await start('-S')
    const get = Buffer.alloc(24 + 1, 'k')
    get.fill(0, 0, 24).writeUInt8(0x80, 0)
    get.writeUInt16BE(1, 2)
    get.writeUInt32BE(1, 8)
    const socket = connectTcp(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.write(get)
    const answer = await new Promise<Buffer>(resolve => socket.once('data', resolve))
    expect(answer.readUInt16BE(6)).toBe(0x20)
  })

  test.runIf(help.includes('-Z,'))('-Z: it speaks TLS', async ({ skip }) => {
    const path = await folder()
    const [keyFile, certFile] = [join(path, 'key.pem'), join(path, 'cert.pem')]
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '1'],
      ...['-keyout', keyFile, '-out', certFile],
    ])
    if (made.status !== 0) skip('no openssl on this machine')
    await chmod(keyFile, 0o644)
    const { port } = await start('-Z', '-o', `ssl_chain_cert=${certFile},ssl_key=${keyFile}`)
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    socket.write('version\r\nquit\r\n')
    expect(await read(socket)).toMatch(/^VERSION /)
  })
})
