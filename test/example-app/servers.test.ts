import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Daemon } from '../../example-app/src/memcached/daemon.ts'
import { Embedded } from '../../example-app/src/memcached/embedded.ts'
import { startServers } from '../../example-app/src/servers.ts'

let folder: string
const { PATH } = process.env

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'example-app-'))
  process.env.PATH = folder
})

afterEach(async () => {
  process.env.PATH = PATH
  await rm(folder, { recursive: true })
})

describe('a memcached on the PATH', () => {
  test('that is not there leaves the embedded one', async () => {
    expect(await Daemon.start()).toBeUndefined()
    const servers = await startServers(2)
    expect(servers.own.map(server => server instanceof Embedded)).toEqual([true, true])
    expect(servers.description).toContain('2 embedded memcached servers')
    await servers.close()
  })

  test('that may not be run counts as absent', async () => {
    await writeFile(join(folder, 'memcached'), '#!/bin/sh\n', { mode: 0o644 })
    expect(await Daemon.start()).toBeUndefined()
  })
})
