import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterAll, beforeAll } from 'vitest'
import type { BackingPlace } from '../support/backing-stores.ts'
import { Postgres } from '../support/postgres.ts'
import { Redis } from '../support/redis.ts'

/** The stores that people use, with how to start what they need. */
export const DATABASES = ['connect-pg-simple', 'connect-redis'] as const
export type Database = (typeof DATABASES)[number]

/** Is it on this machine? Where all is required (`.ci/run`) a missing one fails its tests. */
export function isPresent(name: Database): boolean {
  if (process.env.REQUIRE_MEMCACHED === '1') return true
  return name === 'connect-pg-simple'
    ? existsSync('/usr/lib/postgresql')
    : spawnSync('redis-server', ['--version']).status === 0
}

/** Starts what this store needs, for the tests of this block. */
export function useDatabase(name: Database): () => BackingPlace {
  let place: BackingPlace
  let server: AsyncDisposable
  beforeAll(async () => {
    if (name === 'connect-pg-simple') {
      const postgres = await Postgres.start()
      place = { postgres: postgres.host }
      server = postgres
    } else {
      const redis = await Redis.start()
      place = { redis: redis.socket }
      server = redis
    }
  })
  afterAll(() => server[Symbol.asyncDispose]())
  return () => place
}
