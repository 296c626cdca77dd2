import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, inject, test } from 'vitest'
import { fewOrMany } from '../support/few-or-many.ts'
import { OPCODE } from '../support/frames.ts'
import { programOf } from '../support/programs.ts'
import { TcpProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { LONG_AGO, People } from './people.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const LOGINS = 50

describe.skipIf(memcached === undefined)(`${LOGINS} logins of one user at once`, () => {
  const numbers = Array.from({ length: LOGINS }, (_, index) => index)

  test('are all listed, in the time of two', async () => {
    await using proxy = await TcpProxy.start(memcached)
    await using people = new People(proxy.address)
    await people.store.get('warm')
    proxy.requests.clear()
    const sids = await Promise.all(numbers.map(() => people.login('ann')))
    // Those that came while the first was on its way were listed together.
    expect(proxy.count(OPCODE.get)).toBeLessThan(10)
    expect((await people.sids('ann')).sort()).toEqual(sids.sort())
  })

  test('are all listed with a store each', async () => {
    await using people = new People(memcached)
    const stores = numbers.slice(0, 10).map(() => people.another())
    const sids = await Promise.all(numbers.map(at => people.login('ann', stores[at % stores.length])))
    expect((await people.sids('ann')).sort()).toEqual(sids.sort())
  })

  test('are all listed from two processes', async () => {
    await using people = new People(memcached)
    const file = programOf(new URL('logins.child.ts', import.meta.url))
    const children = [0, 1].map(() => fork(file, [memcached, people.prefix]))
    try {
      await Promise.all(children.map(child => once(child, 'message')))
      for (let round = 0; round < fewOrMany(2, 20); round++) {
        const user = `user-${round}`
        const answers = children.map(child => logIn(child, user, LOGINS / 2))
        const sids = (await Promise.all(answers)).flat()
        expect((await people.sids(user)).sort()).toEqual(sids.sort())
        expect(sids).toHaveLength(LOGINS)
      }
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  })
})

async function logIn(child: ChildProcess, user: string, count: number): Promise<string[]> {
  const answered = once(child, 'message')
  child.send({ user, count })
  const [{ sids }] = (await answered) as [{ sids: string[] }]
  return sids
}

describe.skipIf(memcached === undefined)('of a user with very many sessions', () => {
  test('the oldest beyond 1,000 are destroyed, the dead make room first', async () => {
    await using people = new People(memcached)
    const sids: string[] = []
    for (let at = 0; at < 1000; at++) sids.push(await people.login('crowd'))
    expect((await people.sids('crowd')).reverse()).toEqual(sids)

    const dead = sids[500] as string
    await people.store.destroy(dead)
    await people.plant('crowd', entriesOf(sids))
    sids.push(await people.login('crowd'))
    await until(async () => (await people.entries('crowd')).length === 1000)
    expect(await people.store.get(sids[0] as string)).not.toBeNull()

    sids.push(await people.login('crowd'))
    await until(async () => (await people.store.get(sids[0] as string)) === null)
    const living = sids.filter(sid => sid !== dead).slice(1)
    expect((await people.sids('crowd')).reverse()).toEqual(living)

    await people.store.destroyAllOf('crowd', { except: sids[700] })
    expect([...(await people.store.getMany(sids)).keys()]).toEqual([sids[700]])
  })

  test('logins and logouts cost no living session its place, nor somebody else’s', async () => {
    await using people = new People(memcached)
    const lives = await people.login('in-and-out')
    const switched = await people.login('in-and-out')
    await people.store.update(switched, session => void Object.assign(session, { user: 'other' }))
    // As so many leave them who have come and gone within five minutes.
    const gone = Array.from({ length: 1100 }, () => randomUUID())
    const now = Date.now()
    await people.plant(
      'in-and-out',
      [lives, switched, ...gone].map((sid, at) => [sid, now + at]),
    )
    expect(await people.sids('in-and-out')).toEqual([lives])
    // One more than a step of reviews.
    for (let login = 0; login < 17; login++) await people.store.destroy(await people.login('in-and-out'))
    expect(await people.sids('in-and-out')).toEqual([lives])
    expect(await people.sids('other')).toEqual([switched])
    expect([...(await people.store.getMany([lives, switched])).keys()]).toEqual([lives, switched])
  })

  test('an index that is too large drops logins that came to nothing first, and never somebody else’s', async () => {
    await using people = new People(memcached, { maxItemSize: 4096 })
    const lives = await people.login('full')
    const switched = await people.login('full')
    await people.store.update(switched, session => void Object.assign(session, { user: 'other' }))
    const gone = Array.from({ length: 60 }, () => randomUUID())
    const now = Date.now()
    await people.plant(
      'full',
      [lives, switched, ...gone].map((sid, at) => [sid, now + at]),
    )
    expect(await people.sids('full')).toEqual([lives])
    expect((await people.entries('full')).length).toBeLessThan(40)
    expect([...(await people.store.getMany([lives, switched])).keys()]).toEqual([lives, switched])
  })

  test('as many are kept as half an item lists', async () => {
    await using people = new People(memcached, { maxItemSize: 4096 })
    const sids: string[] = []
    for (let at = 0; at < 60; at++) sids.push(await people.login('narrow'))
    await until(async () => (await people.entries('narrow')).length < 40)
    const kept = (await people.sids('narrow')).reverse()
    expect(kept.length).toBeGreaterThan(25)
    expect(sids.slice(-kept.length)).toEqual(kept)
    const found = await people.store.getMany(sids)
    expect([...found.keys()].sort()).toEqual([...kept].sort())
  })
})

function entriesOf(sids: string[]): [string, number][] {
  return sids.map((sid, at) => [sid, LONG_AGO + at])
}
