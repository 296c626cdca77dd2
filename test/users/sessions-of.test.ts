import { describe, expect, inject, test } from 'vitest'
import { MemcachedStore, type UserSession } from '../../lib/index.ts'
import { type AnySession, People, peopleOn, sessionOf, userOf, withoutDate } from './people.ts'

const memcached = inject('memcached')?.split(',')[0]

describe.skipIf(memcached === undefined)('the sessions of a user', () => {
  const people = peopleOn(memcached)
  const { store } = people

  test('are none before a login', async () => {
    expect(await store.sessionsOf('nobody')).toEqual([])
  })

  test('are listed, the latest login first', async () => {
    const sids = [await people.login('ann'), await people.login('ann'), await people.login('ann')]
    await people.login('bob')
    expect(await people.sids('ann')).toEqual(sids.reverse())
  })

  test('come with their data, when they were last seen and when they end', async () => {
    await store.set('dated', sessionOf('cleo', { cart: [1] }))
    const session = (await store.get('dated')) as AnySession
    const date = new Date(session.cookie.expires as unknown as string)
    expect(await store.sessionsOf('cleo')).toEqual([
      { sid: 'dated', session, lastSeen: new Date(date.getTime() - 60_000), expires: date },
    ])
  })

  test('have no times where their cookie has no date', async () => {
    await store.set('dateless', withoutDate('dora'))
    expect(await store.sessionsOf('dora')).toMatchObject([
      { sid: 'dateless', lastSeen: undefined, expires: undefined },
    ])
  })

  test('end when a ttl function says', async () => {
    const short = people.another({ ttl: () => 20 })
    await short.set('by-function', sessionOf('emil'))
    const [{ expires, lastSeen }] = (await short.sessionsOf('emil')) as [UserSession]
    expect(Number(expires) - Number(lastSeen)).toBe(20_000)
  })

  test('can be saved as they were read, on the condition that nothing changed', async () => {
    const sid = await people.login('fay')
    const [mine] = await store.sessionsOf('fay')
    const theirs = (await store.get(sid)) as AnySession
    theirs.b = 2
    await store.set(sid, theirs)
    ;(mine?.session as AnySession).a = 1
    await store.set(sid, mine?.session as AnySession)
    expect(await store.get(sid)).toMatchObject({ a: 1, b: 2 })
  })

  test.each(['', ' ', 'Zoë\n🦊', '\ud800', 'x'.repeat(10_000), '#', '@', '!', '__proto__'])(
    'are found for any string: %j',
    async user => {
      const sid = await people.login(user)
      expect(await people.sids(user)).toEqual([sid])
      expect(people.indexKey(user)).toMatch(/^[\x21-\x7e]{1,250}$/)
    },
  )

  test.each(['@a', '!a', '#a', ' spaced', ''])('may have any id: %j', async sid => {
    await store.set(sid, sessionOf(`with ${sid}`))
    expect(await people.sids(`with ${sid}`)).toEqual([sid])
    await store.destroyAllOf(`with ${sid}`)
    expect(await store.get(sid)).toBeNull()
  })

  test('show no name in keys', async () => {
    await people.login('a-telling-name')
    const keys = [...(await people.raw.expirations(people.prefix)).keys()]
    expect(keys.filter(key => key.includes('telling'))).toEqual([])
    expect(keys).toContain(people.indexKey('a-telling-name'))
  })

  test('are asked for with a callback too, on a fresh tick', async () => {
    const sid = await people.login('gus')
    let returned = false
    const found = await new Promise((resolve, reject) => {
      store.sessionsOf('gus', (error, sessions) => {
        expect(returned).toBe(true)
        if (error) reject(error)
        else resolve(sessions?.map(one => one.sid))
      })
      returned = true
    })
    expect(found).toEqual([sid])
    await new Promise<void>((resolve, reject) => {
      store.destroyAllOf('gus', error => (error ? reject(error) : resolve()))
    })
    const other = await people.login('gus')
    await new Promise<void>((resolve, reject) => {
      store.destroyAllOf('gus', { except: other }, error => (error ? reject(error) : resolve()))
    })
    expect(await people.sids('gus')).toEqual([other])
  })
})

describe.skipIf(memcached === undefined)('a session whose user changes', () => {
  const people = peopleOn(memcached)
  const { store } = people

  async function become(sid: string, user: string | undefined): Promise<void> {
    const session = (await store.get(sid)) as AnySession
    session.user = user
    await store.set(sid, session)
  }

  test('is listed from its login on', async () => {
    await store.set('anonymous', sessionOf(undefined))
    await become('anonymous', 'ann')
    expect(await people.sids('ann')).toEqual(['anonymous'])
  })

  test('goes over to the other, and comes back as the latest', async () => {
    const sid = await people.login('one')
    await become(sid, 'two')
    expect([await people.sids('one'), await people.sids('two')]).toEqual([[], [sid]])
    const other = await people.login('one')
    await become(sid, 'one')
    expect([await people.sids('one'), await people.sids('two')]).toEqual([[sid, other], []])
  })

  test('leaves at a logout that keeps the session', async () => {
    const sid = await people.login('leaving')
    await become(sid, undefined)
    expect(await people.sids('leaving')).toEqual([])
    expect(await store.get(sid)).not.toBeNull()
  })

  test('leaves at a logout that destroys it', async () => {
    const sid = await people.login('gone')
    await store.destroy(sid)
    expect(await people.sids('gone')).toEqual([])
  })

  test('by an update goes over too', async () => {
    const sid = await people.login('before')
    await store.update(sid, session => {
      Object.assign(session, { user: 'after' })
    })
    expect([await people.sids('before'), await people.sids('after')]).toEqual([[], [sid]])
  })

  test('by a merge is its user’s, whichever request changed it', async () => {
    await store.set('merged', sessionOf(undefined))
    const mine = (await store.get('merged')) as AnySession
    await people.another().update('merged', session => {
      Object.assign(session, { user: 'merging' })
    })
    mine.a = 1
    await store.set('merged', mine)
    expect(await store.get('merged')).toMatchObject({ user: 'merging', a: 1 })
    expect(await people.sids('merging')).toEqual(['merged'])
  })

  test('by what `onConflict` makes of it is that user’s', async () => {
    const resolving = people.another({
      onConflict: (_base, mine) => ({ ...mine, user: 'resolved' }) as never,
    })
    await store.set('conflict', sessionOf(undefined))
    const mine = (await resolving.get('conflict')) as AnySession
    await store.set('conflict', sessionOf(undefined, { theirs: 1 }))
    mine.mine = 1
    await resolving.set('conflict', mine)
    expect(await people.sids('resolved')).toEqual(['conflict'])
  })

  test('back to what it was, over another’s change, is listed again', async () => {
    const overwriting = people.another({ onConflict: 'overwrite' })
    const sid = await people.login('first')
    const mine = (await overwriting.get(sid)) as AnySession
    await become(sid, 'second')
    // Nothing lists it as the first's any more.
    await people.plant('first', [])
    mine.a = 1
    await overwriting.set(sid, mine)
    expect(await people.sids('first')).toEqual([sid])
  })

  test('is nobody’s for a store that has another idea of users', async () => {
    const sid = await people.login('known')
    const throwing = people.another({
      userOf() {
        throw new Error('no idea')
      },
    })
    expect(await throwing.get(sid)).not.toBeNull()
    expect(await throwing.sessionsOf('known')).toEqual([])
  })
})

describe.skipIf(memcached === undefined)('userOf', () => {
  const servers = memcached as string

  test('fails the save when it throws, which stores nothing', async () => {
    const failure = new Error('no user today')
    await using people = new People(servers, {
      userOf() {
        throw failure
      },
    })
    await expect(people.store.set('a', sessionOf('ann'))).rejects.toBe(failure)
    expect(await people.store.get('a')).toBeNull()
  })

  test('fails the save when it gives no string', async () => {
    await using people = new People(servers)
    await expect(people.store.set('a', sessionOf(42))).rejects.toThrow(
      new TypeError('Expected `userOf` to return a string or undefined, got (number)'),
    )
    await people.store.set('b', sessionOf(null))
    expect(await people.store.get('b')).not.toBeNull()
  })

  test('fails an update as it fails a save', async () => {
    await using people = new People(servers)
    const sid = await people.login('ann')
    const change = (session: object): void => {
      Object.assign(session, { user: 42 })
    }
    await expect(people.store.update(sid, change)).rejects.toThrow(TypeError)
    expect(await people.sids('ann')).toEqual([sid])
  })

  test('is needed', async () => {
    await using store = new MemcachedStore({ servers })
    await expect(store.sessionsOf('ann')).rejects.toThrow(/^Expected the option `userOf` to be a function/)
    await expect(store.destroyAllOf('ann')).rejects.toThrow(/^Expected the option `userOf` to be a function/)
  })

  test('wants a string to be asked for', async () => {
    await using people = new People(servers)
    await expect(people.store.sessionsOf(42 as never)).rejects.toThrow(
      new TypeError('Expected `user` to be a string, got (number)'),
    )
  })

  test('must be a function', () => {
    expect(() => new MemcachedStore({ userOf: 'user' as never })).toThrow(
      new TypeError("Expected `userOf` to be a function, got `'user'` (string)"),
    )
    expect(userOf(sessionOf('ann'))).toBe('ann')
  })
})
