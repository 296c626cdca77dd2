import connectPgSimple from 'connect-pg-simple'
import session, { type Store } from 'express-session'
import type { Queryable } from './database.ts'

/** A store behind memcached that keeps what memcached loses. */
export interface Durable {
  /** For the option `backing`: any store of express-session would do. */
  readonly store: Store
  /** Sessions that it holds. */
  count(): Promise<number>
}

type Pool = NonNullable<NonNullable<ConstructorParameters<typeof PgSession>[0]>['pool']>

const PgSession = connectPgSimple(session)

/** What begins with @ is no session, but the list of those of a user. */
const COUNT = `SELECT count(*)::int AS sessions FROM session WHERE sid NOT LIKE '@%' AND expire >= to_timestamp($1)`

/** connect-pg-simple, on a database with its table. */
export function durableIn(database: Queryable): Durable {
  return {
    // The one method of a pool that it uses. What fails is told by the store, not to the terminal as well.
    store: new PgSession({ pool: database as unknown as Pool, errorLog: () => {} }),
    count: async () => {
      const { rows } = await database.query(COUNT, [Date.now() / 1000])
      return Number(rows[0]?.sessions)
    },
  }
}
