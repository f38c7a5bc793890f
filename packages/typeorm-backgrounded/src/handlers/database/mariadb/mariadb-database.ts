import type { BuiltInConsumeOptions, BuiltInHost } from '../../contract/built-in'
import { randomUUID } from 'node:crypto'
import type { QueryRunner } from 'typeorm'
import { InvalidOptionError } from '../../../errors'
import { isAscii } from '../../../job/ascii-json'
import type { JobEnvelope } from '../../../job/envelope'
import { lacksBackslashEscapes, withoutEscapes } from '../../../database/mariadb/backslash-escapes'
import { inGroups } from '../../../database/row-group'
import type { EnqueueResult } from '../../contract/handler'
import type { Heartbeat } from '../../heartbeat/heartbeat'
import { startHeartbeat } from '../../heartbeat/worker-heartbeat'
import type { JobStore } from '../../consumption/job-store'
import type { TransactionRows } from '../../contract/transaction-rows'
import type { InFlightRow } from '../claimed-row'
import type { JobDatabase } from '../job-database'
import { fit, isRow, newRow, resultsOf, sizeOf, withElapsedDelay, type NewRow } from '../job-row'
import { driverPath } from '../../../upstream/driver-path'
import { insertedValues } from '../server/inserted-columns'
import { LeasedStore } from '../server/leased-store'
import { StaleNotice } from '../../../database/stale-notice'
import { workerName } from '../server/worker-name'
import { withTableAdvice, jobTables, type JobTables } from '../tables'
import { NOW } from '../../../database/mariadb/now'
import { connectionOptions } from '../../../database/mariadb/connection-options'
import { mysqlOf } from '../../../upstream/mysql2'
import { LocalArrivals } from './local-arrivals'
import { MariaDbJobs, type MariaDbJobsOptions } from './mariadb-jobs'
import { OwnSession, RunnerSession, type Changed, type Row, type Session } from './session'
import { mariaDbStatements, type MariaDbStatements } from './statements'
import type { PulseData } from './worker-pulse'

const TIMEOUT = 10_000
const INSPECT_WITHIN = 60_000

/** The jobs of one data source on MariaDB 10.6 or MySQL 8, or later. */
export class MariaDbDatabase implements JobDatabase {
  readonly now = NOW
  readonly tables: JobTables
  readonly transactionRows: TransactionRows<NewRow> = {
    rowOf: newRow,
    sizeOf,
    write: (calls, transaction) => {
      const now = performance.now()
      const rows = calls.map(({ row, since }) => withElapsedDelay(row, now - since))
      return this.insertAll(rows, new RunnerSession(transaction))
    },
    withAdvice: withTableAdvice,
  }
  private readonly sql: MariaDbStatements
  private readonly calls: OwnSession
  /** A connection of its own, so that no call waits for an inspection of millions of jobs. */
  private readonly inspections: OwnSession
  private readonly arrivals = new LocalArrivals()
  private readonly notice: StaleNotice
  private readonly limits = new Map<'runner' | 'own', Promise<Limits>>()

  constructor(
    private readonly host: BuiltInHost,
    /** ms */
    private readonly lease: number,
  ) {
    checkSource(host.source)
    this.tables = jobTables('mariadb', host.dataSource)
    this.sql = mariaDbStatements(this.tables)
    this.notice = new StaleNotice(host.logger)
    this.calls = this.ownSession()
    this.inspections = this.ownSession()
  }

  async enqueue(jobs: readonly JobEnvelope[], transaction?: QueryRunner): Promise<EnqueueResult[]> {
    const results = await this.insertAll(
      jobs.map((job) => newRow(job)),
      transaction ? new RunnerSession(transaction) : this.session(this.calls),
    )
    if (!transaction) this.committed(jobs)
    return results
  }

  committed(jobs: readonly JobEnvelope[]): void {
    this.arrivals.notify(jobs)
  }

  wake(): void {
    this.arrivals.notifyAny()
  }

  open(options: BuiltInConsumeOptions): JobStore<InFlightRow> {
    const session = this.ownSession()
    const settings: MariaDbJobsOptions = {
      source: this.host.source,
      worker: randomUUID(),
      name: workerName(),
      queues: options.queues === '*' ? null : options.queues,
      lease: this.lease,
    }
    const jobs = new MariaDbJobs(() => this.session(session), this.sql, settings)
    const startHeartbeat = (onGap: () => void) => this.startHeartbeat(settings, jobs, options, onGap)
    const parts = { jobs, arrivals: this.arrivals.open(), startHeartbeat, close: () => session.close() }
    return new LeasedStore(this.host, parts, options, this.lease)
  }

  read(sql: string, values: readonly unknown[]): Promise<Row[]> {
    return this.session(this.inspections).run(sql, values, INSPECT_WITHIN)
  }

  async change(sql: string, values: readonly unknown[]): Promise<number> {
    const { affectedRows } = await this.session(this.inspections).run<Changed>(sql, values, INSPECT_WITHIN)
    return affectedRows
  }

  async close(): Promise<void> {
    await Promise.all([this.calls.close(), this.inspections.close()])
  }

  private async insertAll(rows: readonly (NewRow | Error)[], session: Session): Promise<EnqueueResult[]> {
    const { packet, isEscaped } = await this.limitsOf(session)
    // A text may be twice as long once it is escaped for a statement.
    const fitting = rows.map((row) => (isRow(row) ? fit(row, Math.floor(packet / 2) - 16_384) : row))
    const inserted = new Set<string>()
    for (const group of inGroups(fitting.filter(isRow), sizeOf, packet / 4)) {
      for (const id of await this.insert(session, group, isEscaped)) inserted.add(id)
    }
    return resultsOf(fitting, inserted)
  }

  /** Returns the ids that were new. */
  private async insert(session: Session, rows: readonly NewRow[], isEscaped: boolean): Promise<string[]> {
    if (rows.length === 0) return []
    const values = rows.flatMap(valuesOf)
    try {
      await session.run<Changed>(this.sql.insert(rows.length), isEscaped ? values : values.map(withoutEscapes), TIMEOUT)
      return rows.map(({ id }) => id)
    } catch (error) {
      if (!isDuplicate(error)) throw error
    }
    if (rows.length === 1) return []
    // A SELECT for the duplicates would lock, in the caller's transaction, the gaps that other inserts go to.
    const middle = Math.ceil(rows.length / 2)
    return [
      ...(await this.insert(session, rows.slice(0, middle), isEscaped)),
      ...(await this.insert(session, rows.slice(middle), isEscaped)),
    ]
  }

  /**
   * The application's connections may be set up in another way than those of this handler, so each kind has its own
   * limits.
   */
  private limitsOf(session: Session): Promise<Limits> {
    const kind = session instanceof RunnerSession ? 'runner' : 'own'
    const known = this.limits.get(kind)
    if (known) return known
    const limits = session.run(this.sql.limits, [], TIMEOUT).then(([row]) => ({
      packet: Number(row?.size),
      isEscaped: !lacksBackslashEscapes(row?.mode),
    }))
    this.limits.set(kind, limits)
    limits.catch(() => this.limits.delete(kind))
    return limits
  }

  private startHeartbeat(
    jobs: MariaDbJobsOptions,
    table: MariaDbJobs,
    consumption: BuiltInConsumeOptions,
    onGap: () => void,
  ): Heartbeat {
    const mysql2 = driverPath('mysql2')
    const { dataSource, logger } = this.host
    const data: PulseData | undefined = mysql2
      ? { mysql2, connection: connectionOptions(dataSource), tables: this.tables, jobs }
      : undefined
    return startHeartbeat({
      every: this.lease / 4,
      consumption,
      directory: () => __dirname,
      data,
      beat: () => table.beat(),
      onGap,
      logger,
    })
  }

  private ownSession(): OwnSession {
    const { dataSource, logger } = this.host
    const onStale = (error: unknown) => this.notice.isStale(error)
    return new OwnSession(mysqlOf(dataSource, logger), connectionOptions(dataSource), { onStale })
  }

  /** Inside a test's transaction, only the test's own connection sees the rows. */
  private session(own: Session): Session {
    const runner = this.host.testRunner()
    return runner ? new RunnerSession(runner) : own
  }
}

interface Limits {
  /** The longest statement, in bytes. */
  readonly packet: number
  /** Whether a backslash escapes the character that follows it. */
  readonly isEscaped: boolean
}

function valuesOf(row: NewRow): unknown[] {
  const { entity, method, queue } = row
  return insertedValues({ ...row, entity: nameValue(entity), method: nameValue(method), queue: nameValue(queue) })
}

/** As bytes, because the charset of the application's connection does not change them. */
function nameValue(name: string): string | Buffer {
  return isAscii(name) ? name : Buffer.from(name)
}

function isDuplicate(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ER_DUP_ENTRY'
}

/** @throws InvalidOptionError */
function checkSource(source: string): void {
  if (/^[\x20-\x7e]{1,100}$/.test(source)) return
  throw new InvalidOptionError(`source is "${source}": on MariaDB and MySQL give up to 100 ASCII characters.`)
}
