import { randomUUID } from 'node:crypto'
import { afterAll, describe, inject } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { storeContract } from '../contract/store-contract.ts'
import { type ConnectedStore, connectBacking } from '../support/backing-stores.ts'
import { DATABASES, isPresent, useDatabase } from './databases.ts'

const servers = inject('memcached')

describe.skipIf(servers === null).each(DATABASES.filter(isPresent))('MemcachedStore with %s behind', name => {
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
