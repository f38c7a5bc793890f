import { DefaultNamingStrategy, type DataSource, type EntitySchema, type QueryRunner } from 'typeorm'
import { isBusyError } from '../../database-errors'
import { PayloadTooLargeError, UnsupportedDatabaseError } from '../../errors'
import { SqliteConnection } from '../../sqlite-connection'
import { dueTime, type JobEnvelope } from '../../job/envelope'
import { milliseconds, type Duration } from '../../job/duration'
import { LARGEST_PAYLOAD } from '../../job/largest-payload'
import type {
  Consumable,
  Consumption,
  ConsumeOptions,
  EnqueueResult,
  EntityTargets,
  Execute,
  Handler,
  HandlerCapabilities,
  HandlerHost,
} from '../handler'
import { StoreConsumption } from '../store-consumption'
import { explained, jobTableNames, sqliteJobTable, type BackgroundedJob } from './job-table'
import { SqliteStore } from './sqlite/sqlite-store'
import { sqliteStatements, type SqliteStatements } from './sqlite/statements'

export interface DatabaseHandlerOptions {
  /** How long a call waits while another process writes to the SQLite file, default 10 s; then it rejects. */
  readonly busyTimeout?: Duration
}

const SUPPORTED = ['better-sqlite3']

/**
 * Keeps jobs in the application's own database, in the table `backgrounded_jobs`: a call inside a transaction
 * commits or vanishes with everything else in it, and no other server is needed.
 * Works on SQLite (better-sqlite3).
 */
export class DatabaseHandler implements Handler, Consumable {
  readonly name = 'database'
  readonly capabilities: HandlerCapabilities = {
    transactional: true,
    batches: true,
    honours: { delay: true, priority: true, keepCompleted: true },
    consumes: 'worker',
    inspects: false,
  }
  private readonly busyTimeout: number
  private table: EntitySchema<BackgroundedJob> | undefined
  private attached: Attached | undefined

  constructor({ busyTimeout = '10s' }: DatabaseHandlerOptions = {}) {
    this.busyTimeout = milliseconds(busyTimeout, 'busyTimeout')
  }

  entities(
    driver: string,
    { namingStrategy }: Pick<DataSource, 'namingStrategy'> = { namingStrategy: new DefaultNamingStrategy() },
  ): EntityTargets {
    if (!SUPPORTED.includes(driver)) return []
    return [(this.table ??= sqliteJobTable((property, name) => namingStrategy.columnName(property, name, [])))]
  }

  /** @throws UnsupportedDatabaseError, MissingTableError */
  attach(host: HandlerHost): void {
    const { type } = host.dataSource.options
    if (!SUPPORTED.includes(type)) {
      throw new UnsupportedDatabaseError(
        `DatabaseHandler works with ${SUPPORTED.join(', ')}, and this data source is ${type}: choose another handler.`,
      )
    }
    this.attached = {
      host,
      sql: sqliteStatements(jobTableNames(host.dataSource)),
      connection: new SqliteConnection({ ...host, explained }),
    }
  }

  async enqueue(jobs: readonly JobEnvelope[], transaction?: QueryRunner): Promise<EnqueueResult[]> {
    const { sql, connection } = this.whileAttached()
    const now = Date.now()
    const rows = jobs.map((job) => rowOf(job, now))
    const fitting = JSON.stringify(rows.filter((row) => !(row instanceof Error)))
    if (transaction) {
      const inserted: unknown = await transaction.query(sql.insert, [fitting]).catch((error: unknown) => {
        throw explained(error)
      })
      return resultsOf(jobs, rows, inserted as { id: string }[])
    }
    const insert = () => connection.write((run) => run(sql.insert).all(fitting) as { id: string }[], this.busyTimeout)
    try {
      return resultsOf(jobs, rows, await connection.tryWrite((run) => run(sql.insert).all(fitting) as { id: string }[]))
    } catch (error) {
      if (!isBusyError(error)) throw explained(error)
      if (!connection.shared.inTransaction) return resultsOf(jobs, rows, await insert())
      // The writer is this very process, and may be waiting for this call: waiting for it could last for ever.
      const delivered = insert().then(() => {})
      return jobs.map((_, index) => refusal(rows[index]) ?? { state: 'deferred', delivered })
    }
  }

  /** @throws UnsupportedDatabaseError for a worker on an in-memory database */
  consume(options: ConsumeOptions, execute: Execute): Consumption {
    const { host, sql, connection } = this.whileAttached()
    if (connection.isInMemory && !options.once) {
      throw UnsupportedDatabaseError.inMemory()
    }
    const store = new SqliteStore(host, connection, sql, options)
    return new StoreConsumption(store, options, execute, host.logger, options.concurrency ?? 1)
  }

  close(): void {
    this.attached?.connection.close()
    this.attached = undefined
  }

  private whileAttached(): Attached {
    if (this.attached) return this.attached
    throw new Error('DatabaseHandler works only while its data source is initialised.')
  }
}

interface Attached {
  readonly host: HandlerHost
  readonly sql: SqliteStatements
  readonly connection: SqliteConnection
}

function rowOf(job: JobEnvelope, now: number): object {
  const row = {
    id: job.id,
    source: job.source,
    entity: job.entity,
    key: job.key ? JSON.stringify(job.key) : null,
    method: job.method,
    args: JSON.stringify(job.args),
    types: job.types ? JSON.stringify(job.types) : null,
    queue: job.queue,
    priority: job.priority,
    runAt: dueTime(job, now),
    enqueuedAt: Date.parse(job.enqueuedAt),
    meta: Object.keys(job.meta).length > 0 ? JSON.stringify(job.meta) : null,
    attempts: job.attempts ?? null,
  }
  const size = Buffer.byteLength(row.args) + Buffer.byteLength(row.types ?? '') + Buffer.byteLength(row.key ?? '')
  if (size <= LARGEST_PAYLOAD) return row
  return PayloadTooLargeError.of(`${job.entity}.${job.method}`, size, LARGEST_PAYLOAD)
}

function refusal(row: object | undefined): EnqueueResult | undefined {
  return row instanceof Error ? { state: 'failed', error: row } : undefined
}

function resultsOf(
  jobs: readonly JobEnvelope[],
  rows: readonly object[],
  inserted: readonly { id: string }[],
): EnqueueResult[] {
  const ids = new Set(inserted.map(({ id }) => id))
  return jobs.map(({ id }, index) => refusal(rows[index]) ?? { state: ids.has(id) ? 'enqueued' : 'duplicate' })
}
