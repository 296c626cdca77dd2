import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Ring } from '../../lib/cluster/ring.ts'
import { fill, sidOf, stored } from '../listing/fill.ts'
import { hasMemcached } from '../support/memcached.ts'
import { NOBODY } from '../support/port.ts'
import { checkUp, type Result, UpToDate } from './run.ts'

async function start(...flags: string[]): Promise<UpToDate> {
  const server = await UpToDate.start(...flags)
  onTestFinished(() => server[Symbol.asyncDispose]())
  return server
}

async function two(...flags: string[]): Promise<[UpToDate, UpToDate]> {
  return [await start(...flags), await start(...flags)]
}

/** Patiently: it is not for a busy machine to be found wanting here. */
function compare(servers: string): Promise<Result> {
  return checkUp(servers, { timeout: 20_000 })
}

function listOf(...servers: { address: string }[]): string {
  return servers.map(({ address }) => address).join()
}

describe.skipIf(!hasMemcached)('doctor compares servers', () => {
  test('that are alike: nothing to do, and the share of each', async () => {
    const [one, other] = await two()
    const sids = Array.from({ length: 400 }, (_, number) => sidOf(number))
    const ring = new Ring([one.address, other.address])
    const own = [one, other].map((_, index) => sids.filter(sid => ring.home(`sess:${sid}`) === index))
    for (const [index, server] of [one, other].entries()) {
      const keys = own[index] as string[]
      await fill(server.address, keys.length, number => [`sess:${keys[number]}`, stored(number)])
    }
    const { code, output, findings } = await compare(listOf(one, other))
    expect(findings).toEqual([])
    expect(code).toBe(0)
    for (const { length } of own) {
      expect(output).toContain(
        `${length} keys under sess:, ${Math.round((length / 400) * 100)} % of all, the`,
      )
    }
  })

  test('of which one has another version', async () => {
    const [one, other] = await two()
    other.pretend('1.6.46')
    const { code, findings } = await compare(listOf(one, other))
    expect(code).toBe(1)
    expect(findings).toEqual([
      `they are not the same: memcached 1.6.45 on ${one.address}, memcached 1.6.46 on ${other.address}`,
    ])
  })

  test('of which one has another time', async () => {
    const [one, other] = await two()
    other.advance(60)
    const { code, findings } = await compare(listOf(one, other))
    expect(code).toBe(1)
    expect(findings).toEqual([
      expect.stringMatching(
        new RegExp(`^the clock of ${other.address} is \\d\\d seconds ahead of that of ${one.address}$`),
      ),
    ])
  })

  test('of which one is much fuller', async () => {
    const [one, other] = await two('-m', '8')
    await fill(one.address, 4000, number => [`x:${sidOf(number)}`, stored(number)])
    await fill(other.address, 400, number => [`x:${sidOf(number)}`, stored(number)])
    const { code, findings } = await compare(listOf(one, other))
    expect(code).toBe(1)
    expect(findings).toEqual([
      expect.stringMatching(
        new RegExp(`^${one.address} is much fuller than the others: \\d\\d % of its memory`),
      ),
    ])
  })

  test('of which one takes other items, and has another memory', async () => {
    const [one, other, third] = [await start(), await start('-I', '2m'), await start('-m', '128')]
    const { code, findings } = await compare(listOf(one, other, third))
    expect(code).toBe(1)
    expect(findings).toEqual([
      `-I differs: 1 MB on ${one.address} and ${third.address}, 2 MB on ${other.address}`,
      `-m differs: 64 MB on ${one.address} and ${other.address}, 128 MB on ${third.address}`,
    ])
  })

  test('of which one is down: the others, all the same', async () => {
    const [one, other] = await two()
    other.pretend('1.6.46')
    const { code, findings } = await compare(listOf(one, { address: NOBODY }, other))
    expect(code).toBe(2)
    expect(findings).toEqual(['could not be checked', expect.stringMatching(/^they are not the same/)])
  })
})

describe.skipIf(!hasMemcached)('doctor tells', () => {
  test('of sessions that lie on a server which is not their home', async () => {
    const [one, other] = await two()
    const ring = new Ring([one.address, other.address])
    const value = stored(1)
    await fill(one.address, 100, number => [`sess:${sidOf(number)}`, value])
    // Tombstones are left there on purpose.
    await fill(one.address, 100, number => [`sess:${sidOf(100 + number)}`, ' '])
    const misplaced = Array.from({ length: 100 }, (_, number) => `sess:${sidOf(number)}`).filter(
      key => ring.home(key) === 1,
    )
    expect(misplaced.length).toBeGreaterThan(1)
    const { code, findings } = await compare(listOf(one, other))
    expect(code).toBe(1)
    expect(findings).toEqual([
      `${misplaced.length} of its 200 sessions have their home on another server of this list: nobody finds them here`,
    ])
    expect((await compare(one.address)).code).toBe(0)
  })

  test('whether a restart keeps the sessions', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'memcached-memory-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await chmod(folder, 0o777)
    const [warm, cold] = [await start('-e', join(folder, 'memory')), await start()]
    const { output } = await compare(listOf(warm, cold))
    expect(output.match(/^ {2}restarts .*$/gm)).toEqual([
      '  restarts     keep its sessions, where it is stopped with SIGUSR1 (-e)',
      '  restarts     lose its sessions (no -e)',
    ])
  })
})
