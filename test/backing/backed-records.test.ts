import { MemoryStore, type SessionData } from 'express-session'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { BackedRecords, RecordShelf } from '../../lib/backing/backed-records.ts'
import { BackingStore } from '../../lib/backing/backing-store.ts'
import { Suspicion } from '../../lib/backing/suspicion.ts'
import { MemcachedStoreError } from '../../lib/errors.ts'
import type { Records, SideRecord, WriteOutcome } from '../../lib/storage/storage.ts'

type Callback = (error?: unknown) => void

const MINUTE = 60_000

/** An index of a user, which says until when it is to be kept. */
const indexOf = (name: string): string => JSON.stringify({ until: Date.now() + MINUTE, name })

/** Memcached's side, where a test can come in between. */
class Front implements Records {
  readonly maxBytes = 1000
  readonly stored: Map<string, SideRecord> = new Map()
  isAway = false
  /** Comes after the next read, once. */
  between: (() => void) | undefined

  addressOf(): string {
    return 'server'
  }

  async read(name: string): Promise<SideRecord | null> {
    this.#reach()
    const found = this.stored.get(name) ?? null
    const { between } = this
    this.between = undefined
    between?.()
    return found
  }

  async write(name: string, text: string, _: number, over: SideRecord | null): Promise<WriteOutcome> {
    this.#reach()
    const there = this.stored.get(name)
    if (over !== null && there === undefined) return 'missing'
    return (over?.version ?? undefined) === (there?.version ?? undefined) ? this.put(name, text) : 'changed'
  }

  put(name: string, text: string): SideRecord {
    const record = { text, version: {} }
    this.stored.set(name, record)
    return record
  }

  #reach(): void {
    if (this.isAway) throw new MemcachedStoreError('ERR_UNAVAILABLE', 'away')
  }
}

class Behind extends MemoryStore {
  isDown = false
  override set(sid: string, data: SessionData, done: Callback): void {
    if (this.isDown) setImmediate(done, new Error('out of order'))
    else super.set(sid, data, done)
  }
}

/** A process. @param behind - that of another one. */
function create(behind = new Behind()) {
  const front = new Front()
  const counts = { refills: 0, backingWrites: 0, backingFailures: 0 }
  const shelf = new RecordShelf(new BackingStore(behind, MINUTE, counts), name => `@${name}`)
  const suspicion = new Suspicion()
  const records = new BackedRecords(front, shelf, {
    timeout: MINUTE,
    backingTimeout: MINUTE,
    counts,
    suspicion,
  })
  onTestFinished(() => records.close())
  return { front, behind, records }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('the index of a user, with a store behind', () => {
  test('comes back once memcached has lost it', async () => {
    const { front, records } = create()
    const first = await records.write('ada', indexOf('first'), MINUTE, await records.read('ada'))
    const text = indexOf('second')
    await records.write('ada', text, MINUTE, first as SideRecord)
    front.stored.clear()
    expect((await records.read('ada'))?.text).toBe(text)
    expect((await records.read('ada'))?.version).not.toBeNull()
  })

  test('is written and read while memcached is away', async () => {
    const { front, records } = create()
    front.isAway = true
    expect(await records.read('ada')).toBeNull()
    const text = indexOf('ada')
    expect(await records.write('ada', text, MINUTE, null)).toMatchObject({ text })
    expect((await records.read('ada'))?.text).toBe(text)
  })

  test('is what was written alone, whatever memcached still has when it is back', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const { front, records } = create()
    await records.write('ada', indexOf('before'), MINUTE, await records.read('ada'))
    front.isAway = true
    const text = indexOf('alone')
    await records.write('ada', text, MINUTE, await records.read('ada'))
    // Long enough for it not to be suspected any more.
    vi.advanceTimersByTime(MINUTE)
    front.isAway = false
    // And another process writes to it in the same moment.
    front.between = () => front.put('ada', indexOf('in between'))
    expect((await records.read('ada'))?.text).toBe(text)
  })

  test('is asked of the store behind for a while after memcached was away: others may have changed it there', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const { front, behind, records } = create()
    await records.write('ada', indexOf('before'), MINUTE, await records.read('ada'))
    front.isAway = true
    await records.read('ada')
    front.isAway = false
    const [another, text] = [create(behind), indexOf('alone')]
    another.front.isAway = true
    await another.records.write('ada', text, MINUTE, await another.records.read('ada'))
    expect((await records.read('ada'))?.text).toBe(text)
    // Then memcached is taken at its word again.
    vi.advanceTimersByTime(MINUTE)
    const later = indexOf('later')
    front.put('ada', later)
    expect((await records.read('ada'))?.text).toBe(later)
  })

  test('is not written over what has changed, or over what is gone', async () => {
    const { front, records } = create()
    await records.write('ada', indexOf('first'), MINUTE, await records.read('ada'))
    const read = await records.read('ada')
    front.put('ada', indexOf('second'))
    expect(await records.write('ada', indexOf('third'), MINUTE, read)).toBe('changed')
    front.stored.clear()
    expect(await records.write('ada', indexOf('third'), MINUTE, read)).toBe('changed')
  })

  test('is not said to be written where the store behind failed', async () => {
    const { behind, records } = create()
    const read = await records.read('ada')
    behind.isDown = true
    await expect(records.write('ada', indexOf('ada'), MINUTE, read)).rejects.toMatchObject({ status: 503 })
  })
})
