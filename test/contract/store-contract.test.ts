import { randomUUID } from 'node:crypto'
import { MemoryStore } from 'express-session'
import { afterAll, beforeAll, describe, inject } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { storeContract } from './store-contract.ts'

const prefix = `contract-${randomUUID()}:`
const memcached: string | null = inject('memcached')

// A store that is known to keep the contract proves the contract.
storeContract('MemoryStore of express-session', () => new MemoryStore())

describe('MemcachedStore', () => {
  let embedded: EmbeddedMemcached
  beforeAll(async () => {
    embedded = await EmbeddedMemcached.start()
  })
  afterAll(() => embedded.stop())

  storeContract('on EmbeddedMemcached', () => new MemcachedStore({ servers: embedded.address, prefix }))
})

describe.skipIf(memcached === null)('MemcachedStore', () => {
  storeContract('on memcached', () => new MemcachedStore({ servers: memcached as string, prefix }))
})
