import { randomUUID } from 'node:crypto'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { FixedCluster } from '../../lib/cluster/fixed-cluster.ts'
import { createNodes } from '../../lib/memcached/nodes.ts'
import { type MemcachedStoreOptions, readOptions } from '../../lib/options.ts'
import { MemcachedStorage } from '../../lib/storage/memcached-storage.ts'
import type { SideRecord } from '../../lib/storage/storage.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'

const memcached = inject('memcached')?.split(',')[0] as string
const MINUTE = 60_000

function start(options: MemcachedStoreOptions): MemcachedStorage {
  const read = readOptions(options)
  const storage = new MemcachedStorage(new FixedCluster(createNodes(read, () => {})), read)
  onTestFinished(() => storage.close())
  return storage
}

describe.skipIf(!hasMemcached).each(['', 'memcached+text://'])(
  'a record beside sessions, over %s',
  scheme => {
    const servers = `${scheme}${memcached}`
    const written = async (storage: MemcachedStorage, name: string, text = 'one'): Promise<SideRecord> =>
      (await storage.locks.write(name, text, MINUTE, await storage.locks.read(name))) as SideRecord

    test('is written over, and deleted, by who has written it', async () => {
      const storage = start({ servers })
      const name = randomUUID()
      const one = await written(storage, name)
      const two = (await storage.locks.write(name, 'two', MINUTE, one)) as SideRecord
      expect(two).toMatchObject({ text: 'two' })
      expect(await storage.locks.delete(name, two)).toBe('deleted')
      expect(await storage.locks.read(name)).toBeNull()
    })

    test('is not where somebody else has written since', async () => {
      const storage = start({ servers })
      const name = randomUUID()
      const one = await written(storage, name)
      await written(storage, name, 'other')
      expect(await storage.locks.write(name, 'two', MINUTE, one)).toBe('changed')
      expect(await storage.locks.delete(name, one)).toBe('changed')
      expect(await storage.locks.read(name)).toMatchObject({ text: 'other' })
    })

    test('is not where it is gone', async () => {
      const storage = start({ servers })
      const name = randomUUID()
      const one = await written(storage, name)
      const read = (await storage.locks.read(name)) as SideRecord
      await storage.locks.delete(name, read)
      for (const gone of [one, read]) {
        expect(await storage.locks.write(name, 'two', MINUTE, gone)).toBe('missing')
        expect(await storage.locks.delete(name, gone)).toBe('missing')
      }
    })

    test('is not written as new where one is', async () => {
      const storage = start({ servers })
      const name = randomUUID()
      await written(storage, name)
      expect(await storage.locks.write(name, 'two', MINUTE, null)).toBe('changed')
    })

    test('of a user is found under its old key, and is to be written again', async () => {
      const sealing = (...encryptionKeys: string[]) => ({ servers, hashKeys: true, encryptionKeys })
      const [before, now] = [start(sealing('o'.repeat(32))), start(sealing('n'.repeat(32), 'o'.repeat(32)))]
      const name = randomUUID()
      expect(await now.indexes.read(name)).toBeNull()
      await before.indexes.write(name, 'one', MINUTE, null)
      const found = (await now.indexes.read(name)) as SideRecord
      expect(found).toMatchObject({ text: 'one', isOutdated: true })
      const moved = (await now.indexes.write(name, 'two', MINUTE, found)) as SideRecord
      expect(moved).toMatchObject({ text: 'two', isOutdated: false })
      // By who wrote it, which text tells no version.
      expect(await now.indexes.write(name, 'three', MINUTE, moved)).toMatchObject({ text: 'three' })
      expect(await now.indexes.write(name, 'four', MINUTE, found)).toMatch(/changed|missing/)
      expect(await before.indexes.read(name)).toBeNull()
    })

    test('is refused by a server without versions, on which nothing could be told apart', async () => {
      const memcached = await Memcached.start('-C')
      onTestFinished(() => memcached.kill())
      const servers = `${scheme}${memcached.address}`
      const [storage, name] = [start({ servers, timeout: 20_000 }), randomUUID()]
      await storage.locks.write(name, 'one', MINUTE, null).catch(() => {})
      await expect(storage.locks.read(name)).rejects.toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
      const encryptionKeys = ['n'.repeat(32), 'o'.repeat(32)]
      const sealed = start({ servers, timeout: 20_000, hashKeys: true, encryptionKeys })
      await sealed.indexes.write(name, 'one', MINUTE, null).catch(() => {})
      await expect(sealed.indexes.read(name)).rejects.toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
    })
  },
)
