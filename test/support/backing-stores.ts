import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import session, { type Store } from 'express-session'
import { Pool } from 'pg'
import { createClient } from 'redis'

/** Which durable store, in words that another process understands. */
export type BackingPlace = { readonly postgres: string } | { readonly redis: string }

/** A store that people use, with the connections that belong to it. */
export interface ConnectedStore extends AsyncDisposable {
  readonly store: Store
}

const PgStore = connectPgSimple(session)

export async function connectBacking(place: BackingPlace): Promise<ConnectedStore> {
  return 'postgres' in place ? connectPostgres(place.postgres) : connectRedis(place.redis)
}

async function connectPostgres(host: string): Promise<ConnectedStore> {
  const pool = new Pool({ host, user: 'postgres', database: 'postgres', max: 10 })
  // A connection that breaks while nobody uses it: the pool makes another.
  pool.on('error', () => {})
  // One process after the other: of two that create a table at the same moment one fails, whatever IF NOT EXISTS
  // says. Both statements are one transaction.
  await pool.query(`SELECT pg_advisory_xact_lock(1);
    CREATE TABLE IF NOT EXISTS session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)`)
  const store = new PgStore({ pool, pruneSessionInterval: false, errorLog: () => {} })
  return { store, [Symbol.asyncDispose]: () => pool.end() }
}

async function connectRedis(path: string): Promise<ConnectedStore> {
  const client = createClient({ socket: { path, tls: false } })
  client.on('error', () => {})
  await client.connect()
  return { store: new RedisStore({ client }), [Symbol.asyncDispose]: async () => client.destroy() }
}
