import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { OPCODE } from '../support/frames.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { TcpProxy } from '../support/proxy.ts'
import { type AnySession, TwoStores } from './two-stores.ts'

const WRITES: number[] = [OPCODE.set, OPCODE.add, OPCODE.replace]

describe.skipIf(!hasMemcached)('a save', () => {
  let memcached: Memcached
  let proxy: TcpProxy
  let stores: TwoStores
  let calls: number

  beforeAll(async () => {
    memcached = await Memcached.start()
  })
  afterAll(() => memcached.kill())
  beforeEach(async () => {
    proxy = await TcpProxy.start(memcached.address)
    calls = 0
    stores = new TwoStores({ servers: proxy.address, timeout: 5000 }, { servers: memcached.address })
    return async () => {
      await stores[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
    }
  })

  async function begin(): Promise<{ sid: string; mine: AnySession }> {
    const sid = await stores.create({ a: 1, b: 1 })
    return { sid, mine: await stores.read(sid) }
  }

  describe('after the session was evicted', () => {
    test('is kept', async () => {
      const { sid, mine } = await begin()
      await stores.evict(sid)
      expect(await stores.stored(sid)).toBeNull()
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 1 })
      expect(stores.conflicts).toEqual([])
    })

    test('is merged with one that came before it', async () => {
      const { sid, mine } = await begin()
      const theirs = (await stores.elsewhere.get(sid)) as AnySession
      await stores.evict(sid)
      theirs.b = 2
      await stores.elsewhere.set(sid, theirs)
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 2 })
      expect(stores.conflicts).toEqual([[sid, 'merged']])
    })

    test('is kept when it was saved before', async () => {
      const { sid, mine } = await begin()
      mine.a = 2
      await stores.here.set(sid, mine)
      await stores.evict(sid)
      mine.b = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 2 })
    })

    test('is given up where a logout came after the eviction', async () => {
      const { sid, mine } = await begin()
      await stores.evict(sid)
      await stores.elsewhere.destroy(sid)
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toBeNull()
    })

    test('is given up where a logout comes after it found nothing to replace', async () => {
      const { sid, mine } = await begin()
      await stores.evict(sid)
      mine.a = 2
      const refused = proxy.holdFrom(OPCODE.replace)
      const saved = stores.here.set(sid, mine)
      await refused
      await stores.elsewhere.destroy(sid)
      await proxy.pass()
      await saved
      expect(await stores.stored(sid)).toBeNull()
      expect(stores.conflicts).toEqual([[sid, 'destroyed']])
    })

    test('a touch does not create it', async () => {
      const { sid, mine } = await begin()
      await stores.evict(sid)
      await stores.here.touch(sid, mine)
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toBeNull()
    })
  })

  test('after a restart of memcached is kept', async () => {
    const { sid, mine } = await begin()
    await memcached.restart()
    mine.a = 2
    await stores.here.set(sid, mine)
    expect(await stores.stored(sid)).toEqual({ a: 2, b: 1 })
    expect(stores.conflicts).toEqual([])
  })

  describe.each(['fin', 'reset'] as const)('whose reply was lost with %s', how => {
    /** Requests of `here` so far, by what they are. */
    const reads = (): number => proxy.count(OPCODE.get)
    const writes = (): number => proxy.count(...WRITES)

    test('and that had been applied has one effect, and is no conflict', async () => {
      const { sid, mine } = await begin()
      mine.a = 2
      const before = [reads(), writes()] as const
      proxy.loseNextReply(how)
      await stores.here.set(sid, mine)
      expect([reads() - before[0], writes() - before[1]]).toEqual([1, 1])
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 1 })
      expect(stores.conflicts).toEqual([])
      // It knows what is stored now.
      mine.a = 3
      await stores.here.set(sid, mine)
      expect([reads() - before[0], writes() - before[1]]).toEqual([1, 2])
      expect(await stores.stored(sid)).toEqual({ a: 3, b: 1 })
    })

    test('and that had not been applied is made again', async () => {
      const { sid, mine } = await begin()
      mine.a = 2
      cutInsteadOfReply(() => stores.evict(sid))
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 1 })
    })

    test('and over which another process wrote is merged', async () => {
      const { sid, mine } = await begin()
      mine.a = 2
      cutInsteadOfReply(() =>
        stores.edit(sid, theirs => {
          // It read what had been applied.
          expect(theirs.a).toBe(2)
          theirs.b = 2
        }),
      )
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 2 })
    })

    test('and that was logged out after it stays so', async () => {
      const { sid, mine } = await begin()
      mine.a = 2
      cutInsteadOfReply(() => stores.elsewhere.destroy(sid))
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toBeNull()
      expect(stores.conflicts).toEqual([[sid, 'destroyed']])
    })

    test('and that was a merge is one merge', async () => {
      const { sid, mine } = await begin()
      mine.a = 2
      await stores.edit(sid, theirs => {
        theirs.b = 2
      })
      loseReplyToSecondWrite()
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 2 })
      expect(stores.conflicts).toEqual([[sid, 'merged']])
      mine.c = 3
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 2, c: 3 })
    })

    test('and that a function had decided is not decided twice', async () => {
      await using deciding = new TwoStores(
        {
          servers: proxy.address,
          timeout: 5000,
          onConflict: (_base, _mine, theirs) => ({ ...theirs, calls: ++calls }) as AnySession,
        },
        { servers: memcached.address },
      )
      const sid = await deciding.create({ a: 1 })
      const mine = await deciding.read(sid)
      mine.a = 2
      await deciding.edit(sid, theirs => {
        theirs.a = 3
      })
      loseReplyToSecondWrite()
      await deciding.here.set(sid, mine)
      expect(await deciding.stored(sid)).toEqual({ a: 3, calls: 1 })
      expect(deciding.conflicts).toEqual([[sid, 'resolved']])
    })

    test('of a new session has one effect', async () => {
      const { sid, mine } = await begin()
      await stores.evict(sid)
      mine.a = 2
      // The first is refused, since nothing is there to replace.
      loseReplyToSecondWrite()
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toEqual({ a: 2, b: 1 })
      expect(stores.conflicts).toEqual([])
    })

    test('of a logout is a logout', async () => {
      const { sid, mine } = await begin()
      proxy.loseNextReply(how)
      await stores.here.destroy(sid)
      mine.a = 2
      await stores.here.set(sid, mine)
      expect(await stores.stored(sid)).toBeNull()
    })

    /** The next write is applied; then something happens elsewhere, then the connection ends without the reply. */
    function cutInsteadOfReply(meanwhile: () => Promise<void>): void {
      proxy.tamper((reply, opcode) => {
        if (!WRITES.includes(opcode)) return reply
        proxy.tamper(frame => frame)
        meanwhile().finally(() => proxy.cutNow(how))
        return null
      })
    }

    function loseReplyToSecondWrite(): void {
      proxy.tamper((reply, opcode) => {
        if (WRITES.includes(opcode)) proxy.loseNextReply(how)
        return reply
      })
    }
  })

  test('whose reply does not come ends with the deadline, and may have been applied', async () => {
    await using impatient = new TwoStores(
      { servers: proxy.address, timeout: 100 },
      { servers: memcached.address },
    )
    const sid = await impatient.create({ a: 1 })
    const mine = await impatient.read(sid)
    mine.a = 2
    proxy.loseNextReply('silence')
    await expect(impatient.here.set(sid, mine)).rejects.toMatchObject({ code: 'ERR_TIMEOUT', status: 503 })
    expect(await impatient.stored(sid)).toEqual({ a: 2 })
  })
})
