import { randomUUID } from 'node:crypto'
import { afterAll, describe, inject } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { storeContract } from '../contract/store-contract.ts'
import { type ConnectedStore, connectBacking } from '../support/backing-stores.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { DATABASES, type Database, isPresent, useDatabase } from './databases.ts'

const servers = inject('memcached')

/** One is enough to check; a PostgreSQL takes seconds to be made. */
const databases = fewOrMany<readonly Database[]>(['connect-redis'], DATABASES)

describe.skipIf(servers === null).each(databases.filter(isPresent))('MemcachedStore with %s behind', name => {
  const place = useDatabase(name)
  const connected: ConnectedStore[] = []
  afterAll(() => Promise.all(connected.map(one => one[Symbol.asyncDispose]())))

  const prefix = `backed-${randomUUID()}:`
  storeContract('on memcached', async () => {
    const backing = await connectBacking(place())
    connected.push(backing)
    return new MemcachedStore({ servers: servers as string, prefix, backing: backing.store })
  })
})
