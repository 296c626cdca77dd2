import { describe, expect, test } from 'vitest'
import { chunkFor, imbalance, itemBytes, pageBytes, tableBytes } from '../../lib/cli/capacity.ts'
import { plan } from '../../lib/cli/plan.ts'
import { planCommand } from '../../lib/cli/plan-command.ts'
import { Ring } from '../../lib/cluster/ring.ts'
import { run } from '../doctor/run.ts'
import { fill } from '../listing/fill.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { statsOf } from './stats.ts'

const WISHES = { sessions: 1_000_000, bytes: 361, requests: 1000, memory: 8 * 2 ** 30, keyLength: 37 }

describe.skipIf(!hasMemcached)('as memcached does', () => {
  test.each([1.25, 1.2, 1.15, 1.1, 1.05])('chunks with -f %d', async factor => {
    await using memcached = await Memcached.start('-f', String(factor))
    const lengths = [
      1, 50, 100, 361, 400, 1000, 2700, 2800, 4096, 10_000, 42_900, 43_100, 65_536, 200_000, 500_000,
    ]
    await fill(memcached.address, lengths.length, number => [
      `key-${number}`,
      'x'.repeat(lengths[number] as number),
    ])
    const stats = await statsOf(memcached.address, 'slabs')
    const chunks = [...stats].filter(([name]) => name.endsWith(':chunk_size')).map(([, size]) => size)
    const sizes = lengths.map((length, number) => itemBytes(`key-${number}`.length, length))
    expect(chunks.sort((a, b) => a - b)).toEqual([...new Set(sizes.map(size => chunkFor(size, factor)))])
    expect((await statsOf(memcached.address)).get('bytes')).toBe(sizes.reduce((sum, size) => sum + size, 0))
  })

  test('the memory of many sessions, within 5 %', async () => {
    const sessions = fewOrMany(100_000, 1_000_000)
    await using memcached = await Memcached.start('-m', '2048')
    const value = 'x'.repeat(361)
    await fill(memcached.address, sessions, number => [`sess:${String(number).padStart(32, '0')}`, value])
    const slabs = await statsOf(memcached.address, 'slabs')
    const general = await statsOf(memcached.address)
    expect(general.get('curr_items')).toBe(sessions)
    const taken = (slabs.get('total_malloced') ?? 0) + (general.get('hash_bytes') ?? 0)
    const { total } = plan({ ...WISHES, sessions, servers: 1 })
    expect(Math.abs(total / taken - 1)).toBeLessThan(0.05)
  })
})

test('what the growth benchmark has measured, within 5 %: 490 bytes for each of 1,000,000 sessions', () => {
  const { total } = plan({ ...WISHES, servers: 1 })
  expect(Math.abs(total / (490 * WISHES.sessions) - 1)).toBeLessThan(0.05)
})

test.each([3, 10, 100])('the fullest of %d servers is not above what is planned for', count => {
  const names = Array.from({ length: count }, (_, number) => `cache-${number}.example:11211`)
  const ring = new Ring(names)
  const keys = Array.from({ length: count }, () => 0)
  const each = 2000
  for (let i = 0; i < count * each; i++) {
    const home = ring.home(`sess:${i}`)
    keys[home] = (keys[home] as number) + 1
  }
  expect(Math.max(...keys) / each).toBeLessThan(imbalance(count))
})

describe('a plan', () => {
  test('takes more servers where one may take less', () => {
    const one = plan({ ...WISHES, sessions: 1e8 })
    const other = plan({ ...WISHES, sessions: 1e8, memory: 2 ** 31 })
    expect(other.servers).toBeGreaterThan(one.servers)
    expect(other.resident).toBeLessThanOrEqual(2 ** 31)
    expect(other.affected).toBeLessThan(one.affected)
  })

  test('its limit holds the sessions of the fullest server', () => {
    for (const sessions of [1000, 1e5, 1e7, 1e9]) {
      const { most, chunk, limit } = plan({ ...WISHES, sessions })
      expect(pageBytes(most, chunk)).toBeLessThan(limit * 2 ** 20)
    }
  })

  test('connections for two generations of many processes', () => {
    expect(plan({ ...WISHES, processes: 2000 }).connections).toBeGreaterThan(4000)
    expect(plan(WISHES).connections).toBe(1024)
  })

  test('items over 1 MiB need -I', () => {
    const { largest, item } = plan({ ...WISHES, sessions: 1000, bytes: 2 ** 21 })
    expect(largest).toBeGreaterThan(item)
  })

  test('the table grows as memcached has it', () => {
    expect(tableBytes(1)).toBe(2 ** 16 * 8)
    expect(tableBytes(2 ** 16 * 1.5)).toBe(2 ** 16 * 8)
    expect(tableBytes(2 ** 16 * 1.5 + 1)).toBe(2 ** 17 * 8)
  })
})

describe('the command plan', () => {
  test('says how to start the servers', async () => {
    const { code, output } = await run(['plan', '--sessions', '10M', '--bytes', '400', '--requests', '20k'])
    expect(code).toBe(0)
    expect(output).toMatch(/^ {2}memcached -m \d+ -c 1024/m)
    expect(output).toMatch(/3 servers/)
    expect(output).toMatch(/affects 33 % of the visitors/)
  })

  test('--json', () => {
    const said = JSON.parse(planCommand(['--sessions', '1.5k', '--json']))
    expect(said).toMatchObject({ sessions: 1500, bytes: 400, servers: 3 })
  })

  test('--help', () => {
    expect(planCommand(['--help'])).toMatch(/^Usage: npx express-session-memcached plan/)
  })

  test.each([
    [[]],
    [['--sessions', '0']],
    [['--sessions', 'many']],
    [['--sessions', '1M', '--bytes', '-1']],
    [['--sessions', '1M', '--servers', '1.5.1']],
    [['--sessions', '1M', '--nonsense']],
  ])('refuses %j', async args => {
    expect(() => planCommand(args)).toThrow(TypeError)
  })

  test('a wrong argument ends it with 2 and its usage', async () => {
    const { code, complaint } = await run(['plan', '--sessions', 'many'])
    expect(code).toBe(2)
    expect(complaint).toMatch(
      /Expected `--sessions` to be a number.*Usage: npx express-session-memcached plan/s,
    )
  })
})
