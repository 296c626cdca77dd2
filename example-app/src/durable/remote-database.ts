import type { ChildProcess } from 'node:child_process'
import { answerChild, askParent } from '../ask-parent.ts'
import type { Queryable, Row } from './database.ts'

interface Question {
  readonly sql: string
  readonly values: readonly unknown[]
}

/** The database of the process that started this one. */
export class RemoteDatabase implements Queryable {
  /** Undefined where that process has none. */
  static async find(): Promise<RemoteDatabase | undefined> {
    const database = new RemoteDatabase()
    return database.query('SELECT 1').then(
      () => database,
      () => undefined,
    )
  }

  async query(sql: string, values: readonly unknown[] = []): Promise<{ rows: Row[] }> {
    return { rows: (await askParent<Question>({ sql, values })) as Row[] }
  }
}

/** Does for a child process what its `RemoteDatabase` asks, as soon as the database runs. */
export function answerQueries(child: ChildProcess, database: Promise<Queryable>): void {
  answerChild<Partial<Question>>(child, ({ sql, values }) =>
    sql === undefined ? undefined : database.then(db => db.query(sql, values)).then(({ rows }) => rows),
  )
}
