import type { BuiltInConsumeOptions, BuiltInHost } from '../../contract/built-in'
import type { QueryRunner } from 'typeorm'
import { isBusyError } from '../../../database/errors'
import { UnsupportedDatabaseError } from '../../../errors'
import type { JobEnvelope } from '../../../job/envelope'
import { NOW } from '../../../database/sqlite/now'
import { SqliteConnection } from '../../../database/sqlite/connection'
import type { EnqueueResult } from '../../contract/handler'
import type { JobStore } from '../../consumption/job-store'
import type { TransactionRows } from '../../contract/transaction-rows'
import type { InFlightRow } from '../claimed-row'
import type { JobDatabase } from '../job-database'
import { isRow, newRow, resultsOf, sizeOf, withElapsedDelay, type NewRow } from '../job-row'
import { withTableAdvice, jobTables, type JobTables } from '../tables'
import { sqliteStatements, type SqliteStatements } from './statements'
import { SqliteStore } from './sqlite-store'

/** The jobs of one data source in one SQLite database. */
export class SqliteDatabase implements JobDatabase {
  readonly now = NOW
  readonly tables: JobTables
  readonly transactionRows: TransactionRows<NewRow> = {
    rowOf: newRow,
    sizeOf,
    write: (calls, transaction) => {
      const now = performance.now()
      return this.insertInside(
        calls.map(({ row, since }) => withElapsedDelay(row, now - since)),
        transaction,
      )
    },
    withAdvice: withTableAdvice,
  }
  private readonly sql: SqliteStatements
  private readonly connection: SqliteConnection
  private stores: SqliteStore[] = []

  constructor(
    private readonly host: BuiltInHost,
    /** ms */
    private readonly busyTimeout: number,
  ) {
    this.tables = jobTables('sqlite', host.dataSource)
    this.sql = sqliteStatements(this.tables)
    this.connection = this.connect('FULL')
  }

  async enqueue(jobs: readonly JobEnvelope[], transaction?: QueryRunner): Promise<EnqueueResult[]> {
    const { sql, connection } = this
    const rows = jobs.map((job) => newRow(job))
    if (transaction) return this.insertInside(rows, transaction)
    const values = valuesOf(rows)
    const results = (inserted: unknown) => resultsOf(rows, idsOf(inserted))
    const insert = () => connection.write((run) => run(sql.insert).all(...values), this.busyTimeout)
    try {
      return results(await connection.tryWrite((run) => run(sql.insert).all(...values)))
    } catch (error) {
      if (!isBusyError(error)) throw withTableAdvice(error)
      if (!connection.shared.inTransaction) return results(await insert())
      // The writer is this process, and may itself wait for this call, so the call does not wait for it.
      const delivered = insert().then(() => {})
      return rows.map((row) => (isRow(row) ? { state: 'deferred', delivered } : { state: 'failed', error: row }))
    }
  }

  private async insertInside(rows: readonly (NewRow | Error)[], transaction: QueryRunner): Promise<EnqueueResult[]> {
    const inserted: unknown = await transaction.query(this.sql.insert, valuesOf(rows)).catch((error: unknown) => {
      throw withTableAdvice(error)
    })
    return resultsOf(rows, idsOf(inserted))
  }

  // Workers notice a commit in the file itself.
  committed(): void {}
  wake(): void {}

  open(options: BuiltInConsumeOptions): JobStore<InFlightRow> {
    if (this.connection.isInMemory && !options.once) throw UnsupportedDatabaseError.inMemory()
    // When a power cut takes back an acknowledgement, the job runs once more, as at-least-once allows.
    const store = new SqliteStore(this.host, this.connect('NORMAL'), this.sql, options)
    this.stores = [...this.stores.filter(({ isClosed }) => !isClosed), store]
    return store
  }

  read(sql: string, values: readonly unknown[]): Promise<Record<string, unknown>[]> {
    return this.connection.read((run) => run(sql).all(...values) as Record<string, unknown>[], this.busyTimeout)
  }

  change(sql: string, values: readonly unknown[]): Promise<number> {
    return this.connection.write((run) => run(sql).run(...values).changes, this.busyTimeout)
  }

  close(): void {
    this.connection.close()
  }

  abandonWorkers(): void {
    for (const store of this.stores) store.abandon()
  }

  private connect(synchronous: 'FULL' | 'NORMAL'): SqliteConnection {
    const { dataSource, logger } = this.host
    const isInsideTestTransaction = () => this.host.testRunner() !== undefined
    return new SqliteConnection({
      dataSource,
      logger,
      isInsideTestTransaction,
      withAdvice: withTableAdvice,
      synchronous,
    })
  }
}

/** The parameter of the insert statement: one JSON array. */
function valuesOf(rows: readonly (NewRow | Error)[]): [string] {
  const now = Date.now()
  return [JSON.stringify(rows.filter(isRow).map((row) => ({ ...row, runAt: (row.runAt ?? now) + row.delay })))]
}

function idsOf(inserted: unknown): Set<string> {
  return new Set((inserted as { id: string }[]).map(({ id }) => id))
}
