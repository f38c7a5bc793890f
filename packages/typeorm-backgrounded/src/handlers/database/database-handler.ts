import type { BuiltInConsumeOptions, BuiltInHost } from '../contract/built-in'
import type { DataSource, QueryRunner } from 'typeorm'
import { dialectOf, SUPPORTED_DATABASES, type Dialect } from '../../database/dialect'
import { InvalidOptionError, NotAttachedError, UnsupportedDatabaseError } from '../../errors'
import { checkBoolean, checkKnown, namesOf } from '../../job/known-options'
import { milliseconds, type Duration } from '../../job/duration'
import type { JobEnvelope } from '../../job/envelope'
import type { Consumable, Consumption, Execute } from '../contract/consumable'
import type { EnqueueResult, EntityTargets, Handler, HandlerCapabilities } from '../contract/handler'
import type { Inspectable, InspectedJob, JobQuery, JobState } from '../contract/inspectable'
import { StoreConsumption } from '../consumption/store-consumption'
import type { TransactionRows, WritesRows } from '../contract/transaction-rows'
import { DatabaseInspection } from './inspection'
import type { JobDatabase } from './job-database'
import { MariaDbDatabase } from './mariadb/mariadb-database'
import { PostgresDatabase } from './postgres/postgres-database'
import { SqliteDatabase } from './sqlite/sqlite-database'
import { entitiesOf } from './tables'
import { warnOfMissingIndices } from './tables/shape'

export interface DatabaseHandlerOptions {
  /** How long a call waits while another process writes to the SQLite file, default 10 s; then it rejects. */
  readonly busyTimeout?: Duration
  /**
   * Postgres, MariaDB, MySQL: how long a worker may go without a heartbeat, default 20 s, at least 1 s. It beats four times
   * as often. After that, another worker runs its jobs again.
   */
  readonly lease?: Duration
  /**
   * Postgres: workers are notified of new jobs by LISTEN and NOTIFY, and prepare their statements, default true. Turn it
   * off behind a pooler that gives a session to another client after each transaction, as PgBouncer does. Then workers
   * poll every `pollInterval`.
   */
  readonly listen?: boolean
  /**
   * Postgres: calls notify workers of their jobs with NOTIFY, default true, also where `listen` is false, because NOTIFY
   * works through any pooler and reaches workers that are connected to the database itself.
   */
  readonly notify?: boolean
}

interface ResolvedOptions {
  readonly busyTimeout: number
  readonly lease: number
  readonly listen: boolean
  readonly notify: boolean
}

const OPTIONS = namesOf<DatabaseHandlerOptions>({ busyTimeout: true, lease: true, listen: true, notify: true })
const SHORTEST_LEASE = 1_000

const DATABASES: Readonly<Record<Dialect, (host: BuiltInHost, options: ResolvedOptions) => JobDatabase>> = {
  sqlite: (host, { busyTimeout }) => new SqliteDatabase(host, busyTimeout),
  postgres: (host, options) => new PostgresDatabase(host, options),
  mariadb: (host, { lease }) => new MariaDbDatabase(host, lease),
}

/**
 * Keeps jobs in the application's own database, in the table `backgrounded_jobs`. A call inside a transaction is committed
 * or rolled back with everything else in it, and no other server is needed.
 * Works on Postgres 13, MariaDB 10.6, MySQL 8 and SQLite (better-sqlite3), and later.
 */
export class DatabaseHandler implements Handler, Consumable, Inspectable, WritesRows {
  readonly name = 'database'
  readonly capabilities: HandlerCapabilities = {
    transactional: true,
    batches: true,
    honours: { delay: true, priority: true, keepCompleted: true },
    consumes: 'worker',
    inspects: true,
  }
  private readonly options: ResolvedOptions
  private readonly tables = new Map<string, EntityTargets>()
  private database: { jobs: JobDatabase; host: BuiltInHost } | undefined
  /** Those of earlier options, too, whose workers may still run. */
  private readonly databases: JobDatabase[] = []

  /** @throws InvalidOptionError */
  constructor(options: DatabaseHandlerOptions = {}) {
    checkKnown(options, OPTIONS, 'DatabaseHandler')
    checkBoolean(options.listen, 'DatabaseHandler: listen')
    checkBoolean(options.notify, 'DatabaseHandler: notify')
    const { busyTimeout = '10s', lease = '20s', listen = true, notify = true } = options
    this.options = {
      busyTimeout: milliseconds(busyTimeout, 'busyTimeout'),
      lease: milliseconds(lease, 'lease'),
      listen,
      notify,
    }
    if (this.options.lease < SHORTEST_LEASE) {
      throw new InvalidOptionError(`lease is ${this.options.lease} ms: give at least ${SHORTEST_LEASE} ms.`)
    }
  }

  entities(driver: string, dataSource?: Pick<DataSource, 'namingStrategy'>): EntityTargets {
    if (!dialectOf(driver)) return []
    const entities = this.tables.get(driver) ?? entitiesOf(driver, dataSource)
    this.tables.set(driver, entities)
    return entities
  }

  /** @throws UnsupportedDatabaseError, MissingTableError */
  attach(host: BuiltInHost): void {
    const { type } = host.dataSource.options
    const dialect = dialectOf(type)
    if (!dialect) {
      throw new UnsupportedDatabaseError(
        `DatabaseHandler works with ${SUPPORTED_DATABASES.join(', ')}, and this data source is ${type}: choose another handler.`,
      )
    }
    void this.closeDatabase().catch(() => {}) // attached again, perhaps with other options
    this.database = { host, jobs: DATABASES[dialect](host, this.options) }
    this.databases.push(this.database.jobs)
  }

  enqueue(jobs: readonly JobEnvelope[], transaction?: QueryRunner): Promise<EnqueueResult[]> {
    return this.attached.jobs.enqueue(jobs, transaction)
  }

  /** @internal */
  transactionRows(): TransactionRows<unknown> {
    return this.attached.jobs.transactionRows as TransactionRows<unknown>
  }

  committed(jobs: readonly JobEnvelope[]): void {
    this.database?.jobs.committed(jobs)
  }

  /** @throws UnsupportedDatabaseError for a worker on an in-memory database */
  consume(options: BuiltInConsumeOptions, execute: Execute): Consumption {
    const { jobs, host } = this.attached
    const consumption = new StoreConsumption(jobs.open(options), options, execute, host.logger)
    if (!options.once) void consumption.ready.then(() => warnOfMissingIndices(host))
    return consumption
  }

  /** The newest jobs first; for `completed`, `failed` and `discarded`, those that ended last. */
  async find(query: JobQuery = {}): Promise<InspectedJob[]> {
    return this.inspection.find(query)
  }

  async counts(): Promise<Record<JobState, number>> {
    return this.inspection.counts()
  }

  async retry(ids: readonly string[]): Promise<number> {
    return this.inspection.retry(ids)
  }

  async discard(ids: readonly string[]): Promise<number> {
    return this.inspection.discard(ids)
  }

  async pause(queue: string): Promise<void> {
    return this.inspection.pause(queue)
  }

  async resume(queue: string): Promise<void> {
    return this.inspection.resume(queue)
  }

  async prune(query: { before: Date; state?: JobState }): Promise<number> {
    return this.inspection.prune(query)
  }

  async close(): Promise<void> {
    for (const jobs of this.databases.splice(0)) jobs.abandonWorkers?.()
    await this.closeDatabase()
  }

  private async closeDatabase(): Promise<void> {
    const { database } = this
    this.database = undefined
    await database?.jobs.close()
  }

  private get inspection(): DatabaseInspection {
    const { jobs, host } = this.attached
    return new DatabaseInspection(host.source, jobs)
  }

  private get attached(): { jobs: JobDatabase; host: BuiltInHost } {
    if (this.database) return this.database
    throw new NotAttachedError(
      'DatabaseHandler works only while its data source is initialised: call initialize() first.',
    )
  }
}
