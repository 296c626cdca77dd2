import { afterAll, beforeAll, describe } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { protocolContract } from './protocol-contract.ts'

describe('EmbeddedMemcached', () => {
  let server: EmbeddedMemcached
  beforeAll(async () => {
    server = await EmbeddedMemcached.start()
  })
  afterAll(() => server.stop())

  protocolContract(() => server.port)
})

describe.skipIf(!hasMemcached)('the real memcached', () => {
  let server: Memcached
  beforeAll(async () => {
    server = await Memcached.start()
  })
  afterAll(() => server.kill())

  protocolContract(() => server.port)
})
