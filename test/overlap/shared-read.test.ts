import { describe, expect, inject, test } from 'vitest'
import { type LiveSession, save } from './live.ts'
import { type AnySession, TwoStores } from './two-stores.ts'

const servers = inject('memcached')

describe.skipIf(servers === null)('requests that share what one of them has read', () => {
  const start = (): TwoStores => new TwoStores({ servers: servers as string })

  const liveOf = ({ here }: TwoStores, sid: string, read: AnySession): LiveSession =>
    here.createSession({ sessionID: sid, sessionStore: here } as never, read) as LiveSession

  test('keep the changes of each', async () => {
    await using stores = start()
    const sid = await stores.create({ user: 'Ada' })
    const read = await stores.read(sid)
    const lives = Array.from({ length: 5 }, () => liveOf(stores, sid, read))
    for (const [number, live] of lives.entries()) {
      live[`key-${number}`] = number
      await save(live)
    }
    expect(await stores.stored(sid)).toEqual({
      user: 'Ada',
      'key-0': 0,
      'key-1': 1,
      'key-2': 2,
      'key-3': 3,
      'key-4': 4,
    })
  })

  test('at once, and what one takes away stays so', async () => {
    await using stores = start()
    const sid = await stores.create({ user: 'Ada', gone: 1 })
    const read = await stores.read(sid)
    const lives = Array.from({ length: 5 }, () => liveOf(stores, sid, read))
    delete lives[0]?.gone
    for (const [number, live] of lives.entries()) live.n = { ...(live.n as object), [number]: number }
    await Promise.all(lives.map(save))
    expect(await stores.stored(sid)).toEqual({ user: 'Ada', n: { 0: 0, 1: 1, 2: 2, 3: 3, 4: 4 } })
  })
})
