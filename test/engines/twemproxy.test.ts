import { randomUUID } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { type Data, sessionOf } from '../contract/calls.ts'
import { checkUp } from '../doctor/run.ts'
import { hasMemcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { isInstalled, Twemproxy } from './engine.ts'

const isThere = hasMemcached && isInstalled('nutcracker')

async function start(
  options: MemcachedStoreOptions = {},
): Promise<{ engine: Twemproxy; store: MemcachedStore }> {
  const engine = await Twemproxy.start()
  const store = new MemcachedStore({ servers: engine.address, timeout: 5000, ...options })
  onTestFinished(async () => {
    await store.close()
    await engine[Symbol.asyncDispose]()
  })
  return { engine, store }
}

describe.skipIf(!isThere)('twemproxy before three memcached', () => {
  test('one of them killed: only its sessions are unavailable, and they come back by themselves', async () => {
    const { engine, store } = await start()
    const sids = Array.from({ length: 60 }, () => randomUUID())
    await Promise.all(sids.map((sid, n) => store.set(sid, sessionOf({ n }))))
    const [first, ...others] = engine.backends as [(typeof engine.backends)[0], ...typeof engine.backends]
    const isOn = async (address: string): Promise<boolean[]> => {
      await using direct = new MemcachedStore({ servers: address, timeout: 5000 })
      return Promise.all(sids.map(async sid => (await direct.get(sid)) !== null))
    }
    const lost = await isOn(first.address)
    const kept = await Promise.all(others.map(({ address }) => isOn(address)))
    expect(sids.every((_, index) => [lost, ...kept].filter(on => on[index]).length === 1)).toBe(true)
    expect(lost).toContain(true)
    expect(lost).toContain(false)

    await first.kill()
    for (let turn = 0; turn < 3; turn++) {
      const outcomes = await Promise.allSettled(sids.map(sid => store.get(sid)))
      for (const [index, outcome] of outcomes.entries()) {
        if (lost[index]) expect(outcome).toMatchObject({ reason: { code: 'ERR_UNAVAILABLE', status: 503 } })
        else expect(outcome).toMatchObject({ value: { n: index } })
      }
      const saved = await Promise.allSettled(sids.map((sid, n) => store.set(sid, sessionOf({ n }))))
      expect(saved.map(({ status }) => status === 'rejected')).toEqual(lost)
    }

    await first.restart()
    await until(async () => {
      const saved = await Promise.allSettled(sids.map((sid, n) => store.set(sid, sessionOf({ n }))))
      return saved.every(({ status }) => status === 'fulfilled')
    })
    const found = await store.getMany(sids)
    expect(sids.map(sid => (found.get(sid) as Data | undefined)?.n)).toEqual(sids.map((_, n) => n))
  })

  test('finds each session where the store itself does', async () => {
    const { engine, store } = await start()
    const sids = Array.from({ length: 100 }, () => randomUUID())
    await Promise.all(sids.map((sid, n) => store.set(sid, sessionOf({ n }))))
    // Placed by the ports that twemproxy has in its configuration.
    await using direct = new MemcachedStore({
      servers: engine.backends.map(({ address }) => address),
      timeout: 5000,
    })
    expect((await direct.getMany(sids)).size).toBe(100)
  })

  test('lists no sessions, says so, and tells nothing of itself', async () => {
    const { engine, store } = await start()
    await expect(store.ids()).rejects.toMatchObject({
      code: 'ERR_NOT_SUPPORTED',
      message: expect.stringContaining('it is a proxy'),
    })
    const { servers } = await store.stats()
    expect(servers).toMatchObject([{ reachable: true, protocol: 'text', items: Number.NaN }])
    const { output, findings } = await checkUp(engine.address)
    expect(output).toMatch(/a proxy before memcached .*\n {2}protocol {5}text\n {2}memory {7}not told\n/)
    expect(findings.filter(finding => /reachable|connection/.test(finding))).toEqual([])
  })
})
