import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { hasMemcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { load, save } from './live.ts'
import { type AnySession, makeSession } from './two-stores.ts'
import { World } from './world.ts'

/** Far longer than what is kept as text while a request is on its way, and not of ASCII alone. */
const long = (name: string): string => `${name} é€𝄞 `.repeat(2000)

describe.skipIf(!hasMemcached).concurrent.each([
  ['plain', {}],
  ['sealed', { encryptionKeys: 'a secret of 32 characters or more', compress: true, hashKeys: true }],
] as const)('long sessions, %s', (_, options) => {
  test('of two processes that overlap are merged, save after save', async () => {
    await using world = await World.start({ ...options, timeout: 5000 })
    const { stores } = world
    const sid = await stores.create({ text: long('first'), mine: 0, theirs: 0 })
    const live = await load(stores.here, sid)
    for (let turn = 1; turn <= 3; turn++) {
      await stores.edit(sid, theirs => {
        theirs.theirs = turn
      })
      live.mine = turn
      await save(live)
      expect(await stores.stored(sid)).toEqual({ text: long('first'), mine: turn, theirs: turn })
    }
    expect(stores.conflicts).toHaveLength(3)
    // Without a conflict it is one write, on what its own last save left.
    live.text = long('second')
    await save(live)
    delete live.mine
    await save(live)
    await save(live)
    expect(await stores.stored(sid)).toEqual({ text: long('second'), theirs: 3 })
    expect(stores.conflicts).toHaveLength(3)
  })

  test('of one process that overlap are all stored', async () => {
    await using world = await World.start({ ...options, timeout: 5000 })
    const { stores, proxy } = world
    const sid = await stores.create({ text: long('first') })
    const lives = await Promise.all(Array.from({ length: 8 }, () => load(stores.here, sid)))
    proxy.roundTrip(5)
    await Promise.all(
      lives.map((live, number) => {
        live[`${number}`] = number
        return save(live)
      }),
    )
    const expected = Object.fromEntries(lives.map((_live, number) => [number, number]))
    expect(await stores.stored(sid)).toEqual({ text: long('first'), ...expected })
  })

  test('a save whose reply is lost is found stored, and is no conflict', async () => {
    await using world = await World.start({ ...options, timeout: 5000 })
    const { stores, proxy } = world
    const sid = await stores.create({ text: long('first') })
    const live = await load(stores.here, sid)
    proxy.loseNextReply('reset')
    live.text = long('second')
    await save(live)
    live.again = true
    await save(live)
    expect(await stores.stored(sid)).toEqual({ text: long('second'), again: true })
    expect(stores.conflicts).toEqual([])
  })

  test('plain objects, many at once, are stored each as what it is, whatever breaks', async () => {
    await using world = await World.start({ ...options, timeout: 5000 })
    const { stores, proxy } = world
    const sids = await Promise.all(Array.from({ length: 32 }, () => stores.create({ text: long('first') })))
    for (let turn = 1; turn <= 4; turn++) {
      const saves = sids.map((sid, number) =>
        stores.here.set(sid, makeSession({ text: long(`${turn} of ${number}`) })),
      )
      if (turn % 2 === 0) proxy.loseNextReply('reset')
      await Promise.all(saves)
      for (const [number, sid] of sids.entries()) {
        expect(await stores.stored(sid)).toEqual({ text: long(`${turn} of ${number}`) })
      }
    }
  })

  test('what comes while a plain object is written goes on from that', async () => {
    await using world = await World.start({ ...options, timeout: 5000 })
    const { stores, proxy } = world
    const sid = await stores.create({ text: long('first') })
    proxy.roundTrip(5)
    const first = stores.here.set(sid, makeSession({ text: long('second'), count: 0 }))
    const others = Array.from({ length: 4 }, () => stores.create({ text: long('other') }))
    const counts = Array.from({ length: 8 }, () =>
      stores.here.update(sid, session => {
        const counting = session as AnySession & { count: number }
        counting.count++
      }),
    )
    await Promise.all([first, ...others, ...counts])
    expect(await stores.stored(sid)).toEqual({ text: long('second'), count: 8 })
  })

  test('what has gone on from a plain object knows it, though its reply is lost and others are written', async () => {
    await using world = await World.start({ ...options, timeout: 5000 })
    const { stores, proxy } = world
    const sid = await stores.create({ text: long('first') })
    const first = stores.here.set(sid, makeSession({ text: long('second'), count: 0 }))
    const counted = stores.here.update(sid, session => {
      const counting = session as AnySession & { count: number }
      counting.count++
    })
    await first
    // The update is worked out, and does not arrive.
    proxy.silence()
    const other = stores.here.set(randomUUID(), makeSession({ text: long('others'), count: 0 }))
    await setImmediate()
    await setImmediate()
    proxy.cutNow('reset')
    proxy.pass()
    await Promise.all([counted, other])
    expect(await stores.stored(sid)).toEqual({ text: long('second'), count: 1 })
  })

  test.each(['live', 'plain'])(
    'of a request that goes on, %s, are what it has saved, whatever is stored after that',
    async form => {
      await using world = await World.start({ ...options, timeout: 5000 })
      const { stores } = world
      const sid = await stores.create({ text: long('first') })
      const mine =
        form === 'live' ? await load(stores.here, sid) : ((await stores.here.get(sid)) as AnySession)
      mine.text = long('second')
      await stores.here.set(sid, mine)
      for (let count = 0; count < 3; count++) {
        await stores.here.set(randomUUID(), makeSession({ text: long('others') }))
      }
      await stores.edit(sid, theirs => {
        theirs.text = long('theirs')
      })
      mine.mine = 1
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ text: long('theirs'), mine: 1 })
    },
  )

  test('a take-back after a save of unknown outcome holds', async () => {
    await using world = await World.start(options)
    const { stores, memcached } = world
    const sid = await stores.create({ text: long('first') })
    const live = await load(stores.here, sid)
    await memcached.freeze()
    live.paid = long('paid')
    await expect(save(live)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' })
    memcached.thaw()
    // Not before it is applied: the connection, which is ended then, brings it.
    await until(async () => (await stores.stored(sid))?.paid === long('paid'))
    await world.recovered()
    delete live.paid
    await save(live)
    expect(await stores.stored(sid)).toEqual({ text: long('first') })
  })
})
