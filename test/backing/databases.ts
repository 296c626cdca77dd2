import { afterAll, beforeAll } from 'vitest'
import type { BackingPlace } from '../support/backing-stores.ts'
import { Postgres } from '../support/postgres.ts'
import { Redis } from '../support/redis.ts'

/** The stores that people use, with how to start what they need. */
export const DATABASES = ['connect-pg-simple', 'connect-redis'] as const
export type Database = (typeof DATABASES)[number]

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
