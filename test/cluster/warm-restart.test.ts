import { execFile, spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { SessionData } from 'express-session'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { ask } from '../docs/text-protocol.ts'
import { keysOn } from '../listing/fill.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { counting, countOf, PREFIX } from './changing.ts'

const UNIT = fileURLToPath(new URL('../../docs/systemd/memcached-warm@.service', import.meta.url))
const BUSY = Array.from({ length: 40 }, (_, number) => `busy-${number}`)
const QUIET = Array.from({ length: 400 }, (_, number) => `quiet-${number}`)
const USERS = ['ada', 'bob']

const canKeep: boolean = hasMemcached && String(spawnSync('memcached', ['-h']).stdout).includes('-e,')

/** What the unit says, by name. */
async function readUnit(): Promise<Map<string, string>> {
  const lines = (await readFile(UNIT, 'utf8')).matchAll(/^(\w+)=(.*)$/gm)
  return new Map([...lines].map(([, name = '', value = '']) => [name, value]))
}

/** Starts what the unit starts, with its memory and its port elsewhere. */
async function start(unit: Map<string, string>): Promise<Memcached> {
  const folder = await mkdtemp(join(tmpdir(), 'memcached-warm-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o777)
  const [program, ...flags] = (unit.get('ExecStart') as string).split(' ')
  expect(program).toBe('/usr/bin/memcached')
  const own = flags
    .join(' ')
    .replace(/-l \S+|-p \S+/g, '')
    .replace(/-e \S+/, `-e ${join(folder, 'memory')}`)
  const memcached = await Memcached.start(...own.split(/\s+/).filter(flag => flag !== ''))
  onTestFinished(() => memcached.kill())
  return memcached
}

/** `systemctl restart` */
async function restart(memcached: Memcached, unit: Map<string, string>): Promise<void> {
  await memcached.stop(unit.get('KillSignal') as NodeJS.Signals)
  const [program = '', ...args] = (unit.get('ExecStopPost') as string).split(' ')
  await promisify(execFile)(program, args)
  await memcached.restart()
}

/** Workers that count up in sessions at random, until they are told to stop. */
class Visitors {
  acknowledged = 0
  /** What they failed with. */
  readonly failures: unknown[] = []
  /** By session: how often it was counted up for sure, and how often perhaps. */
  readonly least: Map<string, number> = new Map()
  readonly most: Map<string, number> = new Map()
  readonly #store: MemcachedStore
  readonly #workers: readonly Promise<void>[]
  #isOver = false

  constructor(store: MemcachedStore) {
    this.#store = store
    this.#workers = Array.from({ length: 6 }, () => this.#work())
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#workers)
  }

  async #work(): Promise<void> {
    while (!this.#isOver) {
      const sid = BUSY[Math.floor(Math.random() * BUSY.length)] as string
      add(this.most, sid)
      try {
        const session = await this.#store.update(sid, found => counting((countOf(found) as number) + 1))
        if (session === null) throw new Error('a session is gone')
        add(this.least, sid)
        this.acknowledged++
      } catch (error) {
        this.failures.push(error)
      }
      await sleep(5)
    }
  }
}

function add(counts: Map<string, number>, sid: string): void {
  counts.set(sid, (counts.get(sid) ?? 0) + 1)
}

/** Everything under these keys, with flags and CAS tokens. */
async function itemsOf(memcached: Memcached, keys: readonly string[]): Promise<string> {
  return ask(memcached.port, `gets ${keys.join(' ')}\r\n`)
}

describe.skipIf(!canKeep)('docs/systemd/memcached-warm@.service', () => {
  test('keeps everything through a restart under traffic, and nobody hangs', async () => {
    const unit = await readUnit()
    const memcached = await start(unit)
    const options = { servers: memcached.address, prefix: PREFIX }
    const userOf = (session: SessionData): string | undefined => (session as { user?: string }).user
    await using patient = new MemcachedStore({ ...options, timeout: 60_000, userOf })
    await using impatient = new MemcachedStore({ ...options, timeout: 200 })
    await Promise.all(BUSY.map(sid => patient.set(sid, counting(0))))
    await Promise.all(
      QUIET.map((sid, number) =>
        patient.set(sid, Object.assign(counting(number), { user: USERS[number % USERS.length] })),
      ),
    )
    const late = (await patient.get('quiet-0')) as SessionData
    await patient.destroy('quiet-0')
    const kept = QUIET.slice(1)
    const listed = await Promise.all(USERS.map(user => patient.sessionsOf(user)))
    const keys = [...(await keysOn(memcached.address))].filter(key => !key.includes('busy'))
    const before = await itemsOf(memcached, keys)
    expect(before.match(/^VALUE /gm)).toHaveLength(QUIET.length + USERS.length)

    const [waiting, refused] = [new Visitors(patient), new Visitors(impatient)]
    await until(() => waiting.acknowledged > 50 && refused.acknowledged > 50)
    await restart(memcached, unit)
    const again = refused.acknowledged + 50
    const patiently = waiting.acknowledged + 50
    await until(() => refused.acknowledged > again && waiting.acknowledged > patiently)
    await Promise.all([waiting.end(), refused.end()])

    expect(waiting.failures).toEqual([])
    expect(refused.failures.length).toBeGreaterThan(0)
    expect(refused.failures.filter(error => (error as { status?: number }).status !== 503)).toEqual([])
    // Sessions, the tombstone, and the indexes of the users: to the byte, with their versions.
    expect(await itemsOf(memcached, keys)).toBe(before)
    const found = await patient.getMany([...BUSY, ...QUIET])
    expect([...found.keys()].sort()).toEqual([...BUSY, ...kept].sort())
    for (const sid of BUSY) {
      const sum = (one: 'least' | 'most'): number =>
        (waiting[one].get(sid) ?? 0) + (refused[one].get(sid) ?? 0)
      const count = countOf(found.get(sid) as SessionData)
      expect(count, sid).toBeGreaterThanOrEqual(sum('least'))
      expect(count, sid).toBeLessThanOrEqual(sum('most'))
    }
    expect(await Promise.all(USERS.map(user => patient.sessionsOf(user)))).toEqual(listed)
    // A request that was under way all the time cannot undo the logout.
    await patient.set('quiet-0', Object.assign(late, { n: 1 }))
    expect(await patient.get('quiet-0')).toBeNull()
  })

  test.skipIf(spawnSync('systemd-analyze', ['--version']).status !== 0)('is a unit', () => {
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', UNIT], { encoding: 'utf8' })
    expect(stderr.split('\n').filter(line => line.includes('memcached-warm'))).toEqual([])
    expect(status).toBe(0)
  })
})
