import type { BuiltInConsumeOptions, BuiltInHost } from '../../contract/built-in'
import { createHash, randomUUID } from 'node:crypto'
import type { DataSource, QueryRunner } from 'typeorm'
import type { JobEnvelope } from '../../../job/envelope'
import type { EnqueueResult } from '../../contract/handler'
import { inGroups } from '../../../database/row-group'
import type { Heartbeat } from '../../heartbeat/heartbeat'
import { startHeartbeat } from '../../heartbeat/worker-heartbeat'
import type { JobStore } from '../../consumption/job-store'
import type { HeldCall, TransactionRows } from '../../contract/transaction-rows'
import type { InFlightRow } from '../claimed-row'
import type { JobDatabase } from '../job-database'
import { isRow, newRow, resultsOf, sizeOf, withElapsedDelay, type NewRow } from '../job-row'
import { driverPath } from '../../../upstream/driver-path'
import { insertedValues } from '../server/inserted-columns'
import { LeasedStore } from '../server/leased-store'
import { retried } from '../../../database/retry'
import { StaleNotice } from '../../../database/stale-notice'
import { workerName } from '../server/worker-name'
import { withTableAdvice, jobTables, type JobTables } from '../tables'
import { clientOf, literalsOf } from '../../../upstream/pg'
import { WorkerNotifier } from './worker-notifier'
import { clientOptions } from '../../../database/postgres/client-options'
import { NOW } from '../../../database/postgres/now'
import { PostgresConnection, type PostgresSession } from '../../../database/postgres/connection'
import { Notifications } from './notifications'
import { PostgresJobs, type PostgresWorkerOptions, type Query } from './postgres-jobs'
import { Prefetch } from './prefetch'
import { seesSameRowsAsPool } from './session-visibility'
import { postgresStatements, type PostgresStatements } from './statements'
import type { PulseData } from './worker-pulse'

export interface PostgresDatabaseOptions {
  /** ms */
  readonly lease: number
  readonly listen: boolean
  readonly notify: boolean
}

const TIMEOUT = 10_000
const WORK_WITHIN = 15_000
const INSPECT_WITHIN = 60_000

/** The jobs of one data source on Postgres 13 or later. */
export class PostgresDatabase implements JobDatabase {
  readonly now = NOW
  readonly tables: JobTables
  readonly transactionRows: TransactionRows<NewRow>
  private readonly sql: PostgresStatements
  private readonly channel: string
  private readonly calls: PostgresConnection
  /** A connection of its own, so that no call waits for an inspection of millions of jobs. */
  private readonly inspections: PostgresConnection
  private readonly notifier: WorkerNotifier
  private readonly session: PostgresSession
  private readonly notice: StaleNotice

  constructor(
    private readonly host: BuiltInHost,
    private readonly options: PostgresDatabaseOptions,
  ) {
    this.tables = jobTables('postgres', host.dataSource)
    this.sql = postgresStatements(this.tables)
    this.transactionRows = this.rowsIn(host.dataSource)
    this.channel = channelOf(this.tables.jobs.table, host.source)
    this.session = { isOwned: options.listen }
    this.notice = new StaleNotice(host.logger)
    this.calls = this.connection()
    this.inspections = this.connection({ isAdHoc: true, patience: INSPECT_WITHIN })
    this.notifier = new WorkerNotifier(
      (payload) => this.queryCalls(this.sql.notify, [this.channel, payload]),
      host.logger,
    )
  }

  async enqueue(jobs: readonly JobEnvelope[], transaction?: QueryRunner): Promise<EnqueueResult[]> {
    const rows = jobs.map((job) => newRow(job))
    const inserted = new Set<string>()
    for (const group of inGroups(rows.filter(isRow), sizeOf)) {
      for (const { id } of await this.insert(group, transaction)) inserted.add(id)
    }
    return resultsOf(rows, inserted)
  }

  committed(jobs: readonly JobEnvelope[]): void {
    if (this.notifies) this.notifier.notifyWorkers(jobs)
  }

  wake(): void {
    if (this.notifies) this.notifier.notifyAllWorkers()
  }

  open(options: BuiltInConsumeOptions): JobStore<InFlightRow> {
    const { host } = this
    const arrivals = new Notifications(this.channel, host.logger)
    const connection: PostgresConnection = this.options.listen
      ? this.connection({
          pipelines: true,
          patience: WORK_WITHIN,
          // Behind a pooler, LISTEN would change a session that goes to other clients next.
          prepare: async (client) => {
            if (this.session.isOwned) await arrivals.listenOn(client)
          },
          onLoss: () => (this.session.isOwned ? void arrivals.restore(connection) : arrivals.endListening()),
        })
      : this.connection({ patience: WORK_WITHIN })
    const worker = randomUUID()
    const settings: PostgresWorkerOptions = {
      source: host.source,
      worker,
      name: workerName(),
      queues: options.queues === '*' ? null : options.queues,
      lease: this.options.lease,
    }
    const jobs = new PostgresJobs(
      { ...settings, sql: this.sql, query: this.routed(connection) },
      this.prefetch(connection, options),
    )
    const startHeartbeat = (onGap: () => void) => this.startHeartbeat(settings, jobs, options, onGap)
    const parts = { jobs, arrivals, startHeartbeat, close: () => connection.close() }
    return new LeasedStore(host, parts, options, this.options.lease)
  }

  /**
   * Not for a drain, which is over soon, and not behind a pooler, where the keys of the claimed jobs may be left in
   * another session.
   */
  private prefetch(
    connection: PostgresConnection,
    { prefetch: wanted, once }: BuiltInConsumeOptions,
  ): Prefetch | undefined {
    if (!wanted || once || !this.options.listen) return undefined
    const { dataSource, logger } = this.host
    return new Prefetch({
      wanted: () => (this.host.testRunner() ? undefined : wanted()),
      seesSameRowsAsPool: () => seesSameRowsAsPool(connection, dataSource, TIMEOUT),
      query: connection.queryAndRead.bind(connection),
      logger,
    })
  }

  async read(sql: string, values: readonly unknown[]): Promise<Record<string, unknown>[]> {
    return this.routed(this.inspections)(numbered(sql), values, INSPECT_WITHIN)
  }

  async change(sql: string, values: readonly unknown[]): Promise<number> {
    const [counted] = await this.read(
      `WITH changed AS (${sql} RETURNING 1) SELECT count(*) AS number FROM changed`,
      values,
    )
    return Number(counted?.number)
  }

  async close(): Promise<void> {
    await this.notifier.close()
    await Promise.all([this.calls.close(), this.inspections.close()])
  }

  private rowsIn(dataSource: DataSource): TransactionRows<NewRow> {
    const literal = literalsOf(dataSource, this.host.logger)
    return {
      rowOf: newRow,
      sizeOf,
      write: async (calls, transaction) => {
        const rows = rowsNow(calls)
        const inserted = await this.insert(rows, transaction)
        return resultsOf(rows, new Set(inserted.map(({ id }) => id)))
      },
      statement: literal && ((calls) => this.insertStatement(rowsNow(calls), literal)),
      withAdvice: withTableAdvice,
    }
  }

  private insertStatement(rows: readonly NewRow[], literal: (value: string | null) => string): string {
    const { one, many } = this.sql.insertFresh
    const [row] = rows
    return row && rows.length === 1 ? one(valuesOf(row).map(literal)) : many(literal(JSON.stringify(rows)))
  }

  private async insert(rows: readonly NewRow[], transaction?: QueryRunner): Promise<{ id: string }[]> {
    const { insert, insertAndNotify } = this.sql
    if (transaction) {
      const { text, values } = insertion(insert, rows)
      return this.queryThrough(transaction)(text, values, TIMEOUT)
    }
    const sent = this.notifies ? this.notifier.takeNotifications(rows) : []
    const { text, values } = insertion(insertAndNotify, rows)
    const inserted = await this.queryCalls<{ id: string }>(text, [...values, this.channel, sent])
    if (this.notifies) this.notifier.notifyWorkers(rows, sent)
    return inserted
  }

  private get notifies(): boolean {
    return this.options.notify && !this.host.testRunner()
  }

  private connection(hooks: Partial<ConstructorParameters<typeof PostgresConnection>[0]> = {}): PostgresConnection {
    const { dataSource, logger } = this.host
    return new PostgresConnection({
      Client: clientOf(dataSource, logger),
      client: clientOptions(dataSource),
      session: this.session,
      patience: TIMEOUT,
      onStale: (error) => this.notice.isStale(error),
      ...hooks,
    })
  }

  private startHeartbeat(
    jobs: PostgresWorkerOptions,
    table: PostgresJobs,
    consumption: BuiltInConsumeOptions,
    onGap: () => void,
  ): Heartbeat {
    const pg = driverPath('pg')
    const client = clientOptions(this.host.dataSource)
    const { isOwned: ownsSession } = this.session
    const data: PulseData | undefined = pg ? { pg, client, ownsSession, tables: this.tables, jobs } : undefined
    return startHeartbeat({
      every: this.options.lease / 4,
      consumption,
      directory: () => __dirname,
      data,
      beat: () => table.beat(),
      onGap,
      logger: this.host.logger,
    })
  }

  private queryCalls<Row extends object = Record<string, unknown>>(
    text: string,
    values: readonly unknown[],
    timeout = TIMEOUT,
  ): Promise<Row[]> {
    return this.routed(this.calls)<Row>(text, values, timeout)
  }

  /** Inside a test's transaction, only the test's own connection sees the rows. */
  private routed(connection: PostgresConnection): Query {
    return async <Row>(text: string, values: readonly unknown[], timeout: number) => {
      const runner = this.host.testRunner()
      if (runner) return this.queryThrough(runner)<Row>(text, values, timeout)
      try {
        return await retried(() => connection.query<Row>(text, values, timeout), timeout)
      } catch (error) {
        throw withTableAdvice(error)
      }
    }
  }

  private queryThrough(runner: QueryRunner): Query {
    return async <Row>(text: string, values: readonly unknown[]) => {
      try {
        return (await runner.query(text, [...values], true)).records as Row[]
      } catch (error) {
        throw withTableAdvice(error)
      }
    }
  }
}

/** The rows of calls, with the rest of each delay: a delay counts from the call. */
function rowsNow(calls: readonly HeldCall<NewRow>[]): NewRow[] {
  const now = performance.now()
  return calls.map(({ row, since }) => withElapsedDelay(row, now - since))
}

function insertion(
  { one, many }: { one: string; many: string },
  rows: readonly NewRow[],
): { text: string; values: readonly (string | null)[] } {
  const [row] = rows
  return row && rows.length === 1
    ? { text: one, values: valuesOf(row) }
    : { text: many, values: [JSON.stringify(rows)] }
}

/** As texts, because that is what the protocol sends. */
function valuesOf(row: NewRow): (string | null)[] {
  return insertedValues(row).map((value) => (value === null ? null : String(value)))
}

/** `$1`, `$2`, … in place of each `?`. */
function numbered(sql: string): string {
  let number = 0
  return sql.replaceAll('?', () => `$${++number}`)
}

/** The name of a channel may have up to 63 characters. */
function channelOf(table: string, source: string): string {
  return `backgrounded_${createHash('sha256').update(`${table}/${source}`).digest('hex').slice(0, 32)}`
}
