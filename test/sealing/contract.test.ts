import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, inject } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { storeContract } from '../contract/store-contract.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { EVERYTHING, KEY, OTHER_KEY } from './everything.ts'

const memcached: string | null = inject('memcached')

const WAYS: Record<string, Partial<MemcachedStoreOptions>> = {
  'encryption, compression and hashed ids': EVERYTHING,
  // Of each by itself, all tests ask.
  ...fewOrMany(
    {},
    {
      encryption: { encryptionKeys: KEY },
      compression: { compress: true },
      'hashed ids': { hashKeys: true },
      // Where all may lie under another key, too.
      'keys that change, and plain text from before': {
        ...EVERYTHING,
        encryptionKeys: [OTHER_KEY, KEY],
        allowPlain: true,
      },
    },
  ),
}

for (const [way, options] of Object.entries(WAYS)) {
  describe(`with ${way}`, () => {
    let embedded: EmbeddedMemcached
    beforeAll(async () => {
      embedded = await EmbeddedMemcached.start()
    })
    afterAll(() => embedded.stop())

    storeContract(
      'on EmbeddedMemcached',
      () => new MemcachedStore({ ...options, servers: embedded.address, prefix: `sealed-${way.length}:` }),
    )
  })

  describe.skipIf(memcached === null)(`with ${way}`, () => {
    const prefix = `sealed-${randomUUID()}:`
    storeContract(
      'on memcached',
      () => new MemcachedStore({ ...options, servers: memcached as string, prefix }),
    )
  })
}
