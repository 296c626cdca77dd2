import { afterEach, describe, expect, inject, test, vi } from 'vitest'
import type { Cluster } from '../../lib/cluster/cluster.ts'
import { FixedCluster } from '../../lib/cluster/fixed-cluster.ts'
import type { Item, ReplyCallback } from '../../lib/memcached/node.ts'
import { createNodes } from '../../lib/memcached/nodes.ts'
import { OK } from '../../lib/memcached/reply.ts'
import { readOptions } from '../../lib/options.ts'
import { Placed, Relocation } from '../../lib/storage/relocation.ts'
import { replied } from '../../lib/storage/replied.ts'
import { MOVED } from '../../lib/storage/stored-form.ts'
import { until } from '../support/until.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const MINUTE = 60_000

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe.skipIf(memcached === undefined).each(['', 'memcached+text://'])('what is moved, over %s', scheme => {
  async function place(): Promise<{ relocation: Relocation; cluster: Cluster; old: string; own: string }> {
    const cluster = new FixedCluster(createNodes(readOptions({ servers: `${scheme}${memcached}` }), () => {}))
    const [old, own] = [`old-${Math.random()}`, `own-${Math.random()}`]
    return { cluster, relocation: new Relocation(cluster), old, own }
  }

  const make =
    (value: string) =>
    (key: string, flags: number): Item => ({ key, value, flags, expiration: 60 })

  function set(cluster: Cluster, key: string, value: string, flags = 0): Promise<unknown> {
    return replied(done => cluster.home(key).write('set', make(value)(key, flags), null, done))
  }

  test('lies under its own key, and rests there for a minute or two, in every minute of a day', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { cluster, relocation, old, own } = await place()
    for (let minute = 0; minute < 1440; minute += 31) {
      vi.setSystemTime(1_800_000_000_000 + minute * MINUTE)
      await set(cluster, old, 'before')
      const found = await relocation.find(own, [old])
      expect(found?.key).toBe(old)
      const over = Placed.of(old, (found as NonNullable<typeof found>).reply)
      expect(over.rests).toBe(false)
      expect((await relocation.write(own, over, make('after'))).reply.status).toBe(OK)
      const moved = await relocation.find(old, [own])
      expect([moved?.key, moved?.reply.text]).toEqual([own, 'after'])
      const placed = Placed.of(own, (moved as NonNullable<typeof moved>).reply)
      expect(placed.rests).toBe(true)
      // Whose own key is the other one leaves it where it is.
      const { placed: written } = await relocation.write(old, placed, make('again'))
      expect([written.key, written.rests]).toEqual([own, true])
      expect((await relocation.find(old, [own]))?.reply.text).toBe('again')
      vi.setSystemTime(Date.now() + 2 * MINUTE)
      expect(placed.rests).toBe(false)
      await relocation.deleteAll([own, old])
    }
    await cluster.close()
  })

  test('is waited for while it is on its way, and taken from where its process has left it', async () => {
    const { cluster, relocation, old, own } = await place()
    await set(cluster, old, 'marked', MOVED)
    expect((await relocation.find(own, [old]))?.key).toBe(old)
    const waiting = relocation.find(own, [old])
    await set(cluster, own, 'there')
    expect((await waiting)?.reply.text).toMatch(/there|marked/)
    expect((await relocation.find(own, [old]))?.reply.text).toBe('there')
    await cluster.close()
  })

  test.each([1, 2, 3, 4, 5, 6, 7])(
    'is not missed by who looks while it arrives, after look %i',
    async arrival => {
      const { cluster, old, own } = await place()
      await set(cluster, old, 'on its way', MOVED)
      let looks = 0
      const arriving: Cluster = Object.create(cluster, {
        home: {
          value: (key: string) => ({
            get: (_: string, done: ReplyCallback) =>
              cluster.home(key).get(key, async (error, reply) => {
                if (++looks === arrival) {
                  await set(cluster, own, 'there')
                  await replied(deleted => cluster.home(old).delete(old, null, deleted))
                }
                done(error, reply)
              }),
          }),
        },
      })
      // To whom the former key is its own, and to whom the new one is.
      for (const keys of [
        [old, own],
        [own, old],
      ] as const) {
        looks = 0
        expect((await new Relocation(arriving).find(keys[0], [keys[1]]))?.key).toBe(own)
        await new Relocation(cluster).deleteAll([own])
        await set(cluster, old, 'on its way', MOVED)
      }
      await cluster.close()
    },
  )

  test('is not moved over what has changed, nor over what is gone', async () => {
    const { cluster, relocation, old, own } = await place()
    await set(cluster, old, 'before')
    const found = await relocation.find(own, [old])
    const over = Placed.of(old, (found as NonNullable<typeof found>).reply)
    await set(cluster, old, 'changed')
    expect((await relocation.write(own, over, make('after'))).reply.status).not.toBe(OK)
    expect((await relocation.find(own, [old]))?.reply.text).toBe('changed')
    await relocation.deleteAll([old])
    expect((await relocation.write(own, over, make('after'))).reply.status).not.toBe(OK)
    expect(await relocation.find(own, [old])).toBeNull()
    await cluster.close()
  })

  test('gives way to what was written over its mark meanwhile, and not to the mark being gone', async () => {
    const { cluster, relocation, old, own } = await place()
    const moving = (meanwhile: () => Promise<unknown>) => async (key: string, flags: number) => {
      if (key === own) await meanwhile()
      return make('after')(key, flags)
    }
    for (const [meanwhile, text] of [
      [() => set(cluster, old, 'later'), 'later'],
      [() => relocation.deleteAll([old]), 'after'],
    ] as const) {
      await set(cluster, old, 'before')
      const found = await relocation.find(own, [old])
      const over = Placed.of(old, (found as NonNullable<typeof found>).reply)
      await relocation.write(own, over, moving(meanwhile))
      expect((await relocation.find(own, [old]))?.reply.text).toBe(text)
      await relocation.deleteAll([old, own])
    }
    await cluster.close()
  })

  test('is refused where something else lies under its own key, again and again', async () => {
    const { cluster, relocation, old, own } = await place()
    // No pauses between the tries.
    vi.spyOn(Math, 'random').mockReturnValue(0)
    await set(cluster, old, 'before')
    await set(cluster, own, 'of somebody else')
    const reply = await replied(done => cluster.home(old).get(old, done))
    const moved = relocation.write(own, Placed.of(old, reply), make('after'))
    await expect(moved).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', status: 503 })
    expect((await relocation.find(own, [old]))?.reply.text).toBe('of somebody else')
    await relocation.deleteAll([old, own])
    await cluster.close()
  })

  test('rests where it is moved in the minute whose number means never', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    vi.setSystemTime(1024 * MINUTE * 30_000)
    const { cluster, relocation, old, own } = await place()
    await set(cluster, old, 'before')
    const found = await relocation.find(own, [old])
    const over = Placed.of(old, (found as NonNullable<typeof found>).reply)
    const { placed } = await relocation.write(own, over, make('after'))
    expect([placed.key, placed.rests]).toEqual([own, true])
    await cluster.close()
  })

  test('takes the place of what is left of a move the other way', async () => {
    const { cluster, relocation, old, own } = await place()
    await set(cluster, own, 'left over', MOVED)
    await set(cluster, old, 'before')
    const found = await relocation.find(own, [old])
    expect(found?.reply.text).toBe('before')
    const over = Placed.of(old, (found as NonNullable<typeof found>).reply)
    expect((await relocation.write(own, over, make('after'))).reply.status).toBe(OK)
    await until(async () => (await relocation.find(own, [old]))?.reply.text === 'after')
    await cluster.close()
  })
})
