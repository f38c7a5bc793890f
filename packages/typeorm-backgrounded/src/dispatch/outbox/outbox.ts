import type { DataSource, QueryRunner } from 'typeorm'
import { dialectOf, SUPPORTED_DATABASES, type Dialect } from '../../dialect'
import { UnsupportedDatabaseError } from '../../errors'
import type { EnqueueResult, Piggyback } from '../../handlers/handler'
import type { JobEnvelope } from '../../job/envelope'
import { TransactionRows } from '../../postgres-piggyback/transaction-rows'
import { inGroups } from '../../row-group'
import { Delivery, LEASE, type DeliveryHost } from './delivery'
import { MariaDbOutbox } from './mariadb-outbox'
import { explained } from './missing-table'
import type { NewRow, OutboxStore, OutboxStoreHost } from './outbox-store'
import { OUTBOX_TABLES } from './outbox-table'
import { payloadAfter, payloadOf } from './payload'
import { PostgresOutbox } from './postgres-outbox'
import { SqliteOutbox } from './sqlite-outbox'

export interface OutboxHost extends DeliveryHost {
  readonly dataSource: DataSource
  isInsideTestTransaction(): boolean
}

const STORES: Readonly<Record<Dialect, new (dataSource: DataSource, host: OutboxStoreHost) => OutboxStore>> = {
  sqlite: SqliteOutbox,
  postgres: PostgresOutbox,
  mariadb: MariaDbOutbox,
}

/**
 * Keeps the jobs of a transaction in the database, committed or rolled back with it, until the handler has them.
 * A row is in somebody's hand for a few seconds at a time: first the process that wrote it, then any relay.
 */
export class Outbox {
  private readonly store: OutboxStore
  private readonly delivery: Delivery

  /** @throws UnsupportedDatabaseError */
  constructor(private readonly host: OutboxHost) {
    const { dataSource, source } = host
    const isInsideTestTransaction = () => host.isInsideTestTransaction()
    this.store = new STORES[supportedDialect(dataSource)](dataSource, { source, explained, isInsideTestTransaction })
    this.delivery = new Delivery(host, this.store)
  }

  /** The entity of its table. */
  static entities(driver: string) {
    const dialect = dialectOf(driver)
    return dialect ? [OUTBOX_TABLES[dialect]] : []
  }

  /** @throws MissingTableError */
  async check(): Promise<void> {
    await this.store.check().catch(rethrow)
  }

  /**
   * Writes jobs through the caller's runner, inside its transaction if it is in one.
   * @throws MissingTableError, or the database's error
   */
  write(jobs: readonly JobEnvelope[], runner: QueryRunner): Promise<EnqueueResult[]> {
    return insertInGroups(jobs, async (pairs) => {
      const now = performance.now()
      await this.store.write(rowsOf(pairs), LEASE, runner).catch(rethrow)
      for (const { job } of pairs) this.delivery.hasInHand(job, { calledAt: now, writtenAt: now })
    })
  }

  /** Writes jobs with the transaction's own statements. Nothing: this database's cannot carry any. */
  piggyback(transaction: QueryRunner): Piggyback | undefined {
    const statement = this.store.statement?.bind(this.store)
    if (!statement) return undefined
    return TransactionRows.of<Pair>(transaction, this.host.dataSource.logger, {
      rowOf: pairOf,
      sizeOf,
      statementOf: (calls) => {
        const now = performance.now()
        for (const { row, since } of calls) this.delivery.hasInHand(row.job, { calledAt: since, writtenAt: now })
        const rows = calls.map(({ row, since }) => ({ id: row.job.id, payload: payloadAfter(row, now - since) }))
        return statement(rows, LEASE)
      },
      explained,
    })
  }

  /** Keeps jobs that the handler could not be reached for: relays take them. */
  keep(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    return insertInGroups(jobs, (pairs) => this.store.keep(rowsOf(pairs)).catch(rethrow))
  }

  /** Pushes jobs that were written and committed; what fails stays for the relays. Never rejects. */
  push(jobs: readonly JobEnvelope[]): Promise<void> {
    return this.delivery.push(jobs)
  }

  /** Pushes what others have left. False: the handler could not be reached. */
  relay(): Promise<boolean> {
    return this.delivery.relay()
  }

  /** Waits for what is on its way. */
  async close(): Promise<void> {
    await this.delivery.close()
    this.store.close()
  }
}

interface Pair {
  readonly job: JobEnvelope
  readonly payload: string
}

function pairOf(job: JobEnvelope): Pair | Error {
  const payload = payloadOf(job)
  return payload instanceof Error ? payload : { job, payload }
}

function rowsOf(pairs: readonly Pair[]): NewRow[] {
  return pairs.map(({ job, payload }) => ({ id: job.id, payload }))
}

function sizeOf({ payload }: Pair): number {
  return Buffer.byteLength(payload)
}

async function insertInGroups(
  jobs: readonly JobEnvelope[],
  insert: (pairs: readonly Pair[]) => Promise<void>,
): Promise<EnqueueResult[]> {
  const pairs = jobs.map(pairOf)
  const fitting = pairs.filter((pair): pair is Pair => !(pair instanceof Error))
  for (const group of inGroups(fitting, sizeOf)) await insert(group)
  return pairs.map((pair) => (pair instanceof Error ? { state: 'failed', error: pair } : { state: 'deferred' }))
}

function rethrow(error: unknown): never {
  throw explained(error)
}

/** @throws UnsupportedDatabaseError */
function supportedDialect({ options }: DataSource): Dialect {
  const dialect = dialectOf(options.type)
  if (dialect) return dialect
  throw new UnsupportedDatabaseError(
    `The outbox works on ${SUPPORTED_DATABASES.join(', ')}, and this data source is ${options.type}: pass { outbox: false } to ` +
      `withBackgrounded, after which a call whose process dies right after its commit is lost.`,
  )
}
