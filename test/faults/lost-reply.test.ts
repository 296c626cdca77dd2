import type { SessionData } from 'express-session'
import { describe, expect, test } from 'vitest'
import { WRITES } from '../support/frames.ts'
import { Lab, PATIENT, withStore } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'
import { ownSession } from '../support/settle.ts'
import { until } from '../support/until.ts'

type Counted = SessionData & { mine?: number; theirs?: number }

describe.skipIf(!hasMemcached).concurrent('lost reply', () => {
  test.each(['fin', 'reset'] as const)('a conditional write is found done, with %s', async how => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy, store } = lab
    await operations.set('lost')
    const session = (await store.get('lost')) as Counted
    session.mine = 1
    const before = proxy.count(...WRITES)
    proxy.loseNextReply(how)
    expect(await operations.set('lost', session)).toMatchObject({ error: null })
    expect(proxy.count(...WRITES) - before).toBe(1)
    expect(await operations.get('lost')).toMatchObject({ value: { mine: 1 } })
    // The session goes on: its next save is conditional on what was really stored.
    session.mine = 2
    expect(await operations.set('lost', session)).toMatchObject({ error: null })
    expect(proxy.count(...WRITES) - before).toBe(2)
    await operations.settled()
  })

  test('a conditional write that never arrived is written', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy, store } = lab
    await operations.set('never')
    const session = (await store.get('never')) as Counted
    session.mine = 1
    proxy.silence()
    const before = proxy.count(...WRITES)
    const saving = operations.set('never', session)
    await until(() => proxy.count(...WRITES) > before)
    proxy.cutNow('fin')
    await proxy.pass()
    expect(await saving).toMatchObject({ error: null })
    expect(await operations.get('never')).toMatchObject({ value: { mine: 1 } })
    await operations.settled()
  })

  test('nothing that somebody else wrote meanwhile is lost', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy, store } = lab
    await using other = withStore(lab.memcached.address, PATIENT)
    await operations.set('both')
    const mine = (await store.get('both')) as Counted
    mine.mine = 1
    proxy.hold()
    const before = proxy.replies
    const saving = operations.set('both', mine)
    await until(() => proxy.replies > before)
    const theirs = (await other.store.get('both')) as Counted
    expect(theirs.mine).toBe(1)
    theirs.theirs = 2
    await other.store.set('both', theirs)
    proxy.cutNow('fin')
    await proxy.pass()
    expect(await saving).toMatchObject({ error: null })
    expect(await operations.get('both')).toMatchObject({ value: { mine: 1, theirs: 2 } })
    await operations.settled()
  })

  test('a new session is stored', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy } = lab
    await lab.warmUp()
    proxy.loseNextReply('fin')
    expect(await operations.set('new', ownSession('new'))).toMatchObject({ error: null })
    expect(await operations.get('new')).toMatchObject({ value: { owner: 'new' } })
    await operations.settled()
  })

  test('a logout is a logout', async () => {
    await using lab = await Lab.start(PATIENT)
    const { operations, proxy, store } = lab
    await operations.set('logout')
    const session = (await store.get('logout')) as Counted
    proxy.loseNextReply('fin')
    expect(await operations.destroy('logout')).toMatchObject({ error: null })
    session.mine = 1
    await operations.set('logout', session)
    expect((await operations.get('logout')).value ?? null).toBeNull()
    await operations.settled()
  })

  test('a save whose reply never comes fails in time, and the one after it decides', async () => {
    await using lab = await Lab.start()
    const { operations, proxy, store } = lab
    await operations.set('silent')
    const session = (await store.get('silent')) as Counted
    session.mine = 1
    proxy.loseNextReply('silence')
    expect(await operations.set('silent', session)).toMatchObject({ error: { code: 'ERR_TIMEOUT' } })
    await proxy.pass()
    await operations.recovered()
    session.mine = 2
    expect(await operations.set('silent', session)).toMatchObject({ error: null })
    expect(await operations.get('silent')).toMatchObject({ value: { mine: 2 } })
    await operations.settled()
  })
})
