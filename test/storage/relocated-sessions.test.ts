import { randomUUID } from 'node:crypto'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { FixedCluster } from '../../lib/cluster/fixed-cluster.ts'
import { createNodes } from '../../lib/memcached/nodes.ts'
import { readOptions } from '../../lib/options.ts'
import { MemcachedStorage } from '../../lib/storage/memcached-storage.ts'
import { SessionRecord } from '../../lib/storage/record.ts'
import type { RecordCallback, Sessions } from '../../lib/storage/storage.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const [OLD, NEW] = ['o'.repeat(32), 'n'.repeat(32)]
const MINUTE = 60_000

function called(start: (done: RecordCallback) => void): Promise<SessionRecord | null> {
  return new Promise((resolve, reject) => {
    start((error, record) => (error === null ? resolve(record) : reject(error)))
  })
}

/** Sessions as promises. */
class Promised {
  readonly sessions: Sessions
  readonly close: () => Promise<void>

  /** Under the key of its first secret; found under those of the others, too. */
  constructor(scheme: string, ...encryptionKeys: string[]) {
    const options = readOptions({ servers: `${scheme}${memcached}`, hashKeys: true, encryptionKeys })
    const storage = new MemcachedStorage(new FixedCluster(createNodes(options, () => {})), options)
    this.sessions = storage.sessions
    this.close = () => storage.close()
    onTestFinished(this.close)
  }

  async read(sid: string): Promise<SessionRecord> {
    return (await called(done => this.sessions.read(sid, done))) as SessionRecord
  }

  write(sid: string, text: string, over: SessionRecord): Promise<SessionRecord | null> {
    return called(done => this.sessions.write(sid, text, MINUTE, over, done))
  }

  destroy(sid: string, over: SessionRecord): Promise<SessionRecord | null> {
    return called(done => this.sessions.writeTombstone(sid, '', over, done))
  }
}

describe.skipIf(memcached === undefined).each(['', 'memcached+text://'])(
  'while secrets change, over %s',
  scheme => {
    function start(): { sid: string; before: Promised; now: Promised; after: Promised } {
      return {
        sid: randomUUID(),
        before: new Promised(scheme, OLD),
        now: new Promised(scheme, NEW, OLD),
        after: new Promised(scheme, NEW),
      }
    }

    test('a session that was found under its old key is destroyed there', async () => {
      const { sid, before, now } = start()
      await before.write(sid, 'text', SessionRecord.UNKNOWN)
      const found = await now.read(sid)
      expect(found).toMatchObject({ kind: 'stored', text: 'text' })
      expect(await now.destroy(sid, found)).toMatchObject({ kind: 'destroyed' })
      expect((await before.read(sid)).kind).toBe('destroyed')
      expect((await now.read(sid)).kind).toBe('destroyed')
    })

    test('one that has changed since it was found is not destroyed', async () => {
      const { sid, before, now } = start()
      await before.write(sid, 'text', SessionRecord.UNKNOWN)
      const found = await now.read(sid)
      await before.write(sid, 'changed', SessionRecord.UNKNOWN)
      expect(await now.destroy(sid, found)).toBeNull()
      expect(await now.read(sid)).toMatchObject({ kind: 'stored', text: 'changed' })
    })

    test('one that nobody has looked for is destroyed for every process', async () => {
      const { sid, before, now, after } = start()
      await before.write(sid, 'text', SessionRecord.UNKNOWN)
      expect(await now.destroy(sid, SessionRecord.UNKNOWN)).toMatchObject({ kind: 'destroyed' })
      for (const process of [before, now, after]) expect((await process.read(sid)).kind).toBe('destroyed')
      expect(await now.write(sid, 'back', SessionRecord.MISSING)).toBeNull()
    })

    test('one that is written without a look lies under its own key, and no other', async () => {
      const { sid, before, now, after } = start()
      await before.write(sid, 'text', SessionRecord.UNKNOWN)
      expect(await now.write(sid, 'new', SessionRecord.UNKNOWN)).toMatchObject({
        kind: 'stored',
        text: 'new',
      })
      expect((await before.read(sid)).kind).toBe('missing')
      expect(await after.read(sid)).toMatchObject({ kind: 'stored', text: 'new' })
    })

    test('one that was written, but whose version nobody was told, is neither written over nor destroyed', async () => {
      const { sid, now } = start()
      await now.write(sid, 'text', SessionRecord.MISSING)
      const untold = new SessionRecord('stored', 'text', null)
      expect(await now.write(sid, 'lost', untold)).toBeNull()
      expect(await now.destroy(sid, untold)).toBeNull()
      expect(await now.read(sid)).toMatchObject({ kind: 'stored', text: 'text' })
    })

    test('one that is there already, or is gone, is not written as new, or over', async () => {
      const { sid, before, now } = start()
      await now.write(sid, 'text', SessionRecord.MISSING)
      expect(await now.write(sid, 'other', SessionRecord.MISSING)).toBeNull()
      const found = await now.read(sid)
      await now.destroy(sid, found)
      expect(await now.write(sid, 'back', found)).toBeNull()
      expect((await before.read(sid)).kind).toBe('missing')
    })

    test('what fails is told', async () => {
      const { sid, now } = start()
      await now.close()
      const closed = { code: 'ERR_CLOSED' }
      await expect(now.read(sid)).rejects.toMatchObject(closed)
      await expect(now.write(sid, 'text', SessionRecord.UNKNOWN)).rejects.toMatchObject(closed)
      await expect(now.destroy(sid, SessionRecord.UNKNOWN)).rejects.toMatchObject(closed)
    })

    test('a logout is remembered for as long as its tombstone lasts, and no session has another server', () => {
      const { sid, now } = start()
      expect(now.sessions.remembers(performance.now())).toBe(true)
      expect(now.sessions.remembers(performance.now() - 300_001)).toBe(false)
      expect(now.sessions.hasMovedSince(sid, 0)).toBe(false)
      expect(now.sessions.addressOf(sid)).toBe(memcached)
    })
  },
)
