import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import type { PGlite } from '@electric-sql/pglite'

/** What connect-pg-simple needs of a pool of `pg`. */
export interface Queryable {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly Row[] }>
}

export type Row = Record<string, unknown>

/** A PostgreSQL of this process: PGlite, in memory, so that nothing has to be installed. */
export class Database implements Queryable {
  readonly #database: PGlite

  private constructor(database: PGlite) {
    this.#database = database
  }

  /** @throws Error - where PGlite cannot be had, or does not run here. */
  static async start(): Promise<Database> {
    // Started once and asked little: compiling it for speed takes longer than all that it will ever do.
    setFlagsFromString('--liftoff-only')
    // Not before it is wanted: it is large.
    const { PGlite } = await import('@electric-sql/pglite')
    const database = await PGlite.create()
    const table = fileURLToPath(import.meta.resolve('connect-pg-simple/table.sql'))
    await database.exec(await readFile(table, 'utf8'))
    return new Database(database)
  }

  /** One after another, whoever asks. */
  async query(text: string, values: readonly unknown[] = []): Promise<{ rows: Row[] }> {
    const { rows } = await this.#database.query<Row>(text, [...values])
    return { rows }
  }

  async close(): Promise<void> {
    await this.#database.close()
  }
}
