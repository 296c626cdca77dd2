import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { Daemon } from '../faults/daemon.ts'
import { Authority } from '../support/certificates.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { stored } from './fill.ts'

const canTls =
  hasMemcached &&
  String(spawnSync('memcached', ['-h']).stdout).includes('--enable-ssl') &&
  spawnSync('openssl', ['version']).status === 0

async function expectListed(options: MemcachedStoreOptions): Promise<void> {
  const store = new MemcachedStore({ timeout: 2000, ...options })
  try {
    await store.set('sid', JSON.parse(stored(1)))
    expect(await store.all()).toMatchObject([{ id: 'sid', number: 1 }])
    expect((await store.stats()).servers).toMatchObject([{ reachable: true, items: 1 }])
    await store.clear()
    expect(await store.length()).toBe(0)
  } finally {
    await store.close()
  }
}

describe.skipIf(!hasMemcached)('listing', () => {
  test('through a unix socket', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'memcached-'))
    const path = join(folder, 'to.sock')
    try {
      await using _daemon = await Daemon.start(['-s', path, '-a', '0777'], path)
      await expectListed({ servers: path })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test.skipIf(!canTls)('over TLS', async () => {
    using authority = new Authority()
    const { certFile, keyFile } = authority.issue('good', 'IP:127.0.0.1')
    await using memcached = await Memcached.start('-Z', '-o', `ssl_chain_cert=${certFile},ssl_key=${keyFile}`)
    await expectListed({ servers: memcached.address, tls: { ca: authority.ca.cert } })
  })
})
