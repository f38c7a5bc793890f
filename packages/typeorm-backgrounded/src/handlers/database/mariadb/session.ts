import type { QueryRunner } from 'typeorm'
import { ServerConnection, type ConnectionListener, type Connector } from '../../../database/server-connection'
import { retried } from '../../../database/retry'
import { withTableAdvice } from '../tables'
import type { Mysql, MysqlClient } from '../../../upstream/mysql2'

/** Runs a statement. Returns its rows, or the number of rows that an INSERT, UPDATE or DELETE has changed. */
export type Run = <Result = Row[]>(sql: string, values?: readonly unknown[]) => Promise<Result>
export type Row = Record<string, unknown>
export interface Changed {
  readonly affectedRows: number
}

/** Where statements go: a connection of the library's own, or a test's transaction. */
export interface Session {
  /** Whether a transaction that fails is rolled back. */
  readonly rollsBack: boolean
  /** @param timeout ms */
  run<Result = Row[]>(sql: string, values: readonly unknown[], timeout: number): Promise<Result>
  /** Runs `work` in a transaction, and again after a conflict with another transaction. */
  transaction<T>(work: (run: Run) => Promise<T>, timeout: number): Promise<T>
}

const SETUP = [
  // mysql2 always escapes with backslashes, so the session must accept them as escapes.
  "SET SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'NO_BACKSLASH_ESCAPES', '')",
  // At REPEATABLE READ, gap locks would block the callers' inserts.
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
  // A server may be configured without autocommit.
  // The default wait for a locked table is a day, and a year on MySQL. These are seconds, and less than a beat may take.
  'SET SESSION innodb_lock_wait_timeout = 4, lock_wait_timeout = 4, autocommit = 1',
]

/** ms */
const CANCELLED_WITHIN = 5_000

/** One connection of the library's own, at READ COMMITTED. */
export class OwnSession implements Session {
  readonly rollsBack = true
  private readonly connection: ServerConnection<MysqlClient>

  constructor(mysql: Mysql, options: object, listener?: ConnectionListener) {
    this.connection = new ServerConnection(connector(mysql, options), listener)
  }

  async run<Result = Row[]>(sql: string, values: readonly unknown[], timeout: number): Promise<Result> {
    return this.retried(() => this.connection.use((client) => query<Result>(client, sql, values), timeout), timeout)
  }

  async transaction<T>(work: (run: Run) => Promise<T>, timeout: number): Promise<T> {
    return this.retried(
      () =>
        this.connection.use(async (client) => {
          const run: Run = (sql, values) => query(client, sql, values)
          await run('START TRANSACTION')
          try {
            const result = await work(run)
            await run('COMMIT')
            return result
          } catch (error) {
            await run('ROLLBACK').catch(() => {})
            throw error
          }
        }, timeout),
      timeout,
    )
  }

  close(): Promise<void> {
    return this.connection.close()
  }

  private async retried<T>(work: () => Promise<T>, timeout: number): Promise<T> {
    try {
      return await retried(work, timeout)
    } catch (error) {
      throw withTableAdvice(error)
    }
  }
}

/** A caller's transaction, or a test's. */
export class RunnerSession implements Session {
  readonly rollsBack = false

  constructor(private readonly runner: QueryRunner) {}

  async run<Result = Row[]>(sql: string, values: readonly unknown[]): Promise<Result> {
    try {
      return (await this.runner.query(sql, [...values])) as Result
    } catch (error) {
      throw withTableAdvice(error)
    }
  }

  /** Without a savepoint, which the code under test could not tell from its own. */
  transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    return work((sql, values = []) => this.run(sql, values))
  }
}

function connector(mysql: Mysql, options: object): Connector<MysqlClient> {
  return {
    async connect(onLoss) {
      const client = mysql.createConnection(options)
      client.on('error', onLoss)
      client.on('end', onLoss)
      await new Promise<void>((resolve, reject) => client.connect((error) => (error ? reject(error) : resolve())))
      return client
    },
    async prepare(client) {
      for (const sql of SETUP) await query(client, sql)
    },
    cancel: ({ threadId }) => cancel(mysql, options, threadId),
    end: (client) => new Promise((resolve) => client.end(resolve)),
    destroy: (client) => client.destroy(),
  }
}

/** Cancels the statement of a connection, which stays open, over another connection. */
async function cancel(mysql: Mysql, options: object, thread: number | null): Promise<void> {
  if (thread === null) return
  const client = mysql.createConnection(options)
  client.on('error', () => {})
  try {
    await new Promise<void>((resolve) =>
      client.query({ sql: `KILL QUERY ${thread}`, timeout: CANCELLED_WITHIN }, () => resolve()),
    )
  } finally {
    client.destroy()
  }
}

function query<Result>(client: MysqlClient, sql: string, values?: readonly unknown[]): Promise<Result> {
  return new Promise((resolve, reject) =>
    client.query({ sql, values }, (error, result) => (error ? reject(error) : resolve(result as Result))),
  )
}
