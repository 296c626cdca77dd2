import { describe, expect, test } from 'vitest'
import { isRefused, OPCODE, WRITES } from '../support/frames.ts'
import { hasMemcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { generate, load, save } from './live.ts'
import { makeSession } from './two-stores.ts'
import { World } from './world.ts'

const resolver = (): never => {
  throw new Error('Nobody else has written')
}

describe.skipIf(!hasMemcached).concurrent('after a save of unknown outcome', () => {
  describe.each([
    ['merge', 'merge'],
    ['overwrite', 'overwrite'],
    ['reject', 'reject'],
    ['a resolver', resolver],
  ] as const)('with %s', (_, onConflict) => {
    test('that was applied while memcached stood still, a take-back holds', async () => {
      await using world = await World.start({ onConflict })
      const sid = await world.stores.create({ user: 'Ada' })
      const live = await load(world.stores.here, sid)
      live.paid = true
      await world.saveInVain(live, sid)
      await until(async () => (await world.stores.stored(sid))?.paid)
      delete live.paid
      await save(live)
      expect(await world.stores.stored(sid)).toEqual({ user: 'Ada' })
      expect(world.stores.conflicts).toEqual([])
    })

    test.each([true, false])('(applied: %j) the same again, more, and a take-back hold', async isApplied => {
      await using world = await World.start({ onConflict })
      const sid = await world.stores.create({ user: 'Ada', n: 0 })
      const live = await load(world.stores.here, sid)
      live.n = 1
      await world.loseSave(live, sid, isApplied)
      await save(live)
      expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', n: 1 })
      live.n = 2
      live.more = 1
      await world.loseSave(live, sid, isApplied)
      live.n = 1
      delete live.more
      await save(live)
      expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', n: 1 })
      live.n = 0
      await save(live)
      expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', n: 0 })
      expect(world.stores.conflicts).toEqual([])
    })

    test('and another one, a take-back of both holds', async () => {
      await using world = await World.start({ onConflict })
      const sid = await world.stores.create({ user: 'Ada' })
      const live = await load(world.stores.here, sid)
      live.first = 1
      await world.loseSave(live, sid, true)
      live.second = 1
      await world.loseSave(live, sid, true)
      delete live.first
      delete live.second
      await save(live)
      expect(await world.stores.stored(sid)).toEqual({ user: 'Ada' })
      expect(world.stores.conflicts).toEqual([])
    })

    test('of a new session, a take-back holds', async () => {
      await using world = await World.start({ onConflict })
      const live = generate(world.stores.here)
      Object.assign(live, { user: 'Ada', paid: true })
      await world.loseSave(live, live.id, true)
      expect(await world.stores.stored(live.id)).toEqual({ user: 'Ada', paid: true })
      delete live.paid
      await save(live)
      expect(await world.stores.stored(live.id)).toEqual({ user: 'Ada' })
      expect(world.stores.conflicts).toEqual([])
    })
  })

  test('that was not applied, what others changed is kept', async () => {
    await using world = await World.start()
    const sid = await world.stores.create({ user: 'Ada', gone: 1 })
    const live = await load(world.stores.here, sid)
    live.paid = true
    await world.loseSave(live, sid, false)
    await world.stores.edit(sid, theirs => {
      theirs.theirs = 1
      delete theirs.gone
    })
    delete live.paid
    live.mine = 1
    await save(live)
    expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', theirs: 1, mine: 1 })
    expect(world.stores.conflicts).toEqual([[sid, 'merged']])
  })

  test('that was applied and then changed by another, a take-back and their change hold', async () => {
    await using world = await World.start()
    const sid = await world.stores.create({ user: 'Ada', gone: 1 })
    const live = await load(world.stores.here, sid)
    live.paid = true
    await world.loseSave(live, sid, true)
    await world.stores.edit(sid, theirs => {
      theirs.theirs = 1
      delete theirs.gone
    })
    delete live.paid
    await save(live)
    expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', theirs: 1 })
  })

  test('one that another changed since is rejected where that is asked for', async () => {
    await using world = await World.start({ onConflict: 'reject' })
    const sid = await world.stores.create({ user: 'Ada' })
    const live = await load(world.stores.here, sid)
    live.paid = true
    await world.loseSave(live, sid, true)
    await world.stores.edit(sid, theirs => {
      theirs.theirs = 1
    })
    await expect(save(live)).rejects.toMatchObject({ code: 'ERR_CONFLICT', status: 409 })
    expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', paid: true, theirs: 1 })
  })

  test.each(['unknown', 'told in time'])(
    'beside an earlier one, %s, whose reply is due later, a take-back holds',
    async how => {
      await using world = await World.start()
      const sid = await world.stores.create({ user: 'Ada' })
      const live = await load(world.stores.here, sid)
      await world.stores.edit(sid, theirs => {
        theirs.theirs = 1
      })
      // The first write is refused on its version, after a while; the second is of both saves, and stored.
      world.proxy.delay(100)
      world.proxy.tamper((reply, opcode) => {
        if (WRITES.has(opcode) && !isRefused(reply)) world.proxy.hold()
        return reply
      })
      live.first = 1
      const first = save(live).catch(() => {})
      live.second = 1
      await expect(save(live)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
      if (how === 'told in time') await world.proxy.pass()
      await first
      await world.recovered()
      delete live.second
      await save(live)
      expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', theirs: 1, first: 1 })
    },
  )

  test('of two at once, the earlier one takes back nothing of the later one', async () => {
    await using world = await World.start({ timeout: 5000 })
    const sid = await world.stores.create({})
    const live = await load(world.stores.here, sid)
    await world.stores.edit(sid, theirs => {
      theirs.n = { before: 1 }
    })
    // The first write is refused on its version; the second is of both, and stored, and its reply is lost.
    world.proxy.tamper((reply, opcode) => {
      if (!WRITES.has(opcode) || isRefused(reply)) return reply
      world.proxy.tamper(frame => frame)
      const meanwhile = world.stores.edit(sid, theirs => {
        Object.assign(theirs.n as object, { meanwhile: 1 })
      })
      void meanwhile.finally(() => world.proxy.cutNow('reset'))
      return null
    })
    live.first = 1
    const first = save(live)
    live.n = { second: 1 }
    await Promise.all([first, save(live)])
    expect(await world.stores.stored(sid)).toEqual({ first: 1, n: { before: 1, second: 1, meanwhile: 1 } })
  })

  test('of others, which it was rejected beside, it has stored nothing itself', async () => {
    await using world = await World.start({ onConflict: 'reject' })
    const sid = await world.stores.create({ user: 'Ada' })
    const live = await load(world.stores.here, sid)
    await world.stores.edit(sid, theirs => {
      theirs.theirs = 1
    })
    live.mine = 1
    // The first write is refused, on its version; the second is the update's alone.
    world.proxy.tamper((reply, opcode) => {
      const isStored = WRITES.has(opcode) && !isRefused(reply)
      return isStored ? null : reply
    })
    const saved = save(live)
    const updated = world.stores.here.update(sid, counted => {
      Object.assign(counted, { count: 1 })
    })
    await expect(saved).rejects.toMatchObject({ status: expect.any(Number) })
    await expect(updated).rejects.toMatchObject({ status: 503 })
    await world.recovered()
    await expect(save(live)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', theirs: 1, count: 1 })
  })

  describe.each(['silence', 'reset'] as const)('of many requests that was written as one (%s)', how => {
    test('each may take back its own, and what the others wrote stays', async () => {
      await using world = await World.start()
      const sid = await world.stores.create({ n: 0 })
      const lives = await Promise.all(Array.from({ length: 20 }, () => load(world.stores.here, sid)))
      // The first is written alone, those that wait for it as one.
      world.proxy.tamper((reply, opcode) => {
        if (WRITES.has(opcode)) world.proxy.loseNextReply(how)
        return reply
      })
      const saves = lives.map((live, number) => {
        live[`key-${number}`] = number
        return save(live)
      })
      await Promise.allSettled(saves)
      await world.recovered()
      // All of them, but on a busy machine, where a write takes along what 10 ms allow.
      const stored = (await world.stores.stored(sid)) as Record<string, number>
      expect(Object.keys(stored).length).toBeGreaterThan(2)
      const back = lives.map((live, number) => {
        if (number % 2 === 1) return Promise.resolve()
        delete live[`key-${number}`]
        delete stored[`key-${number}`]
        return save(live)
      })
      await Promise.all(back)
      expect(await world.stores.stored(sid)).toEqual(stored)
    })

    test('as many updates are counted as were told to be, and none twice', async () => {
      await using world = await World.start()
      const sid = await world.stores.create({ count: 0 })
      let told = 0
      let failed = 0
      for (let turn = 0; turn < 5; turn++) {
        world.proxy.tamper((reply, opcode) => {
          if (WRITES.has(opcode)) world.proxy.loseNextReply(how)
          return reply
        })
        const updates = Array.from({ length: 20 }, () =>
          world.stores.here.update(sid, data => {
            const counted = data as unknown as { count: number }
            counted.count++
          }),
        )
        for (const { status } of await Promise.allSettled(updates)) {
          if (status === 'fulfilled') told++
          else failed++
        }
        await world.recovered()
      }
      const { count } = (await world.stores.stored(sid)) as { count: number }
      expect(told + failed).toBe(100)
      expect(count).toBeGreaterThanOrEqual(told)
      expect(count).toBeLessThanOrEqual(told + failed)
    })
  })

  test('a logout holds, and nothing brings the session back', async () => {
    await using world = await World.start()
    const sid = await world.stores.create({ user: 'Ada' })
    const live = await load(world.stores.here, sid)
    live.paid = true
    await world.saveInVain(live, sid)
    await world.stores.here.destroy(sid)
    delete live.paid
    await save(live)
    live.more = 1
    await save(live)
    expect(await world.stores.stored(sid)).toBeNull()
  })

  test('a save that nothing changed is not taken for one', async () => {
    await using world = await World.start()
    const sid = await world.stores.create({ user: 'Ada' })
    const live = await load(world.stores.here, sid)
    live.paid = true
    await world.loseSave(live, sid, true)
    delete live.paid
    // What it read first: only a look tells that it is not what is stored.
    await world.stores.here.set(sid, live.touch())
    await world.stores.here.touch(sid, live.touch())
    expect(await world.stores.stored(sid)).toEqual({ user: 'Ada' })
  })

  test.each(['silence', 'reset'] as const)(
    'that changed nothing (%s), one more undoes nothing',
    async how => {
      await using world = await World.start({ onConflict: 'overwrite' })
      const mine = generate(world.stores.elsewhere)
      mine.user = 'Ada'
      await save(mine)
      const sid = mine.id
      const live = await load(world.stores.here, sid)
      // Another request saves between this one's refresh, whose reply does not come, and its next look.
      await world.stores.edit(sid, theirs => {
        theirs.theirs = 1
      })
      world.proxy.loseNextReply(how)
      await world.stores.here.set(sid, live.touch()).catch(() => {})
      await world.recovered()
      await world.stores.here.set(sid, live.touch())
      expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', theirs: 1 })
      expect(world.stores.conflicts).toEqual([])
    },
  )

  test('a touch does not settle it, the save after that does', async () => {
    await using world = await World.start()
    const sid = await world.stores.create({ user: 'Ada' })
    const live = await load(world.stores.here, sid)
    live.paid = true
    await world.loseSave(live, sid, true)
    delete live.paid
    await world.stores.here.touch(sid, live.touch())
    await save(live)
    expect(await world.stores.stored(sid)).toEqual({ user: 'Ada' })
  })

  test('of the cookie, a take-back holds', async () => {
    await using world = await World.start()
    const sid = await world.stores.create({ user: 'Ada' })
    const live = await load(world.stores.here, sid)
    live.cookie.maxAge = 3_600_000
    world.proxy.loseNextReply('silence')
    await expect(world.stores.here.touch(sid, live)).rejects.toMatchObject({ status: 503 })
    await world.recovered()
    expect((await world.stores.read(sid)).cookie.originalMaxAge).toBeGreaterThan(3_000_000)
    live.cookie.maxAge = 60_000
    await world.stores.here.touch(sid, live)
    expect((await world.stores.read(sid)).cookie.originalMaxAge).toBeLessThan(61_000)
    expect(await world.stores.stored(sid)).toEqual({ user: 'Ada' })
  })

  test('of a touch, and of one more that is told, the life that others give it stands', async () => {
    await using world = await World.start()
    const sid = await world.stores.create({ user: 'Ada' })
    const live = await load(world.stores.here, sid)
    world.proxy.loseNextReply('silence')
    await expect(world.stores.here.touch(sid, live.touch())).rejects.toMatchObject({ status: 503 })
    await world.recovered()
    live.cookie.maxAge = 600_000
    await world.stores.here.touch(sid, live)
    await world.stores.edit(sid, theirs => {
      Object.assign(theirs.cookie, makeSession({}, 3_600_000).cookie)
    })
    live.mine = 1
    await save(live)
    expect((await world.stores.read(sid)).cookie.originalMaxAge).toBe(3_600_000)
    expect(await world.stores.stored(sid)).toEqual({ user: 'Ada', mine: 1 })
  })

  test('of data, and of a touch that is told, the life that others give it stands, and a take-back holds', async () => {
    await using world = await World.start()
    const sid = await world.stores.create({ user: 'Ada' })
    const live = await load(world.stores.here, sid)
    live.paid = true
    await world.loseSave(live, sid, true)
    delete live.paid
    live.cookie.maxAge = 600_000
    await world.stores.here.touch(sid, live)
    await world.stores.edit(sid, theirs => {
      Object.assign(theirs.cookie, makeSession({}, 3_600_000).cookie)
    })
    await save(live)
    expect((await world.stores.read(sid)).cookie.originalMaxAge).toBe(3_600_000)
    expect(await world.stores.stored(sid)).toEqual({ user: 'Ada' })
  })

  test('an update is not made twice, and the next one goes on from what is there', async () => {
    await using world = await World.start()
    const sid = await world.stores.create({ count: 0 })
    const increment = (session: unknown): void => {
      const counted = session as { count: number }
      counted.count++
    }
    world.proxy.loseNextReply('silence')
    await expect(world.stores.here.update(sid, increment)).rejects.toMatchObject({ status: 503 })
    await world.recovered()
    expect(await world.stores.here.update(sid, increment)).toMatchObject({ count: 2 })
    expect(await world.stores.stored(sid)).toEqual({ count: 2 })
  })

  describe.each(['fin', 'reset'] as const)('which is made again within its deadline (%s)', how => {
    /** The next write is applied; then something happens elsewhere, then the connection ends without the reply. */
    function cutInsteadOfReply(world: World, meanwhile: () => Promise<void>): void {
      world.proxy.tamper((reply, opcode) => {
        if (!WRITES.has(opcode)) return reply
        world.proxy.tamper(frame => frame)
        meanwhile().finally(() => world.proxy.cutNow(how))
        return null
      })
    }

    test('what another one deleted meanwhile stays deleted', async () => {
      await using world = await World.start({ timeout: 5000 })
      const sid = await world.stores.create({ gone: 1, kept: 1 })
      const live = await load(world.stores.here, sid)
      live.mine = 1
      cutInsteadOfReply(world, () =>
        world.stores.edit(sid, theirs => {
          delete theirs.gone
        }),
      )
      await save(live)
      expect(await world.stores.stored(sid)).toEqual({ kept: 1, mine: 1 })
    })

    test('what another one set meanwhile stays set', async () => {
      await using world = await World.start({ timeout: 5000 })
      const sid = await world.stores.create({ n: 0 })
      const live = await load(world.stores.here, sid)
      live.mine = 1
      cutInsteadOfReply(world, () =>
        world.stores.edit(sid, theirs => {
          theirs.n = 1
        }),
      )
      await save(live)
      live.more = 1
      await save(live)
      expect(await world.stores.stored(sid)).toEqual({ n: 1, mine: 1, more: 1 })
    })

    test('an equal update of another one is not taken for its own', async () => {
      await using world = await World.start({ timeout: 5000 })
      const sid = await world.stores.create({ count: 0 })
      const increment = (session: unknown): void => {
        const counted = session as { count: number }
        counted.count++
      }
      // It never arrives; the other one writes the very text that it would have.
      const before = world.proxy.count(OPCODE.replace)
      world.proxy.tamper((reply, opcode) => {
        if (opcode === OPCODE.get) world.proxy.silence()
        return reply
      })
      const updating = world.stores.here.update(sid, increment)
      const ended = updating.then(
        () => 1,
        () => 0,
      )
      await until(() => world.proxy.count(OPCODE.replace) > before)
      await world.stores.elsewhere.update(sid, increment)
      world.proxy.cutNow(how)
      await world.proxy.pass()
      const acknowledged = await ended
      expect((await world.stores.stored(sid))?.count).toBeGreaterThanOrEqual(1 + acknowledged)
    })
  })
})
