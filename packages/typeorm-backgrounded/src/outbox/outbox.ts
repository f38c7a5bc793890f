import type { DataSource, QueryRunner } from 'typeorm'
import { LONGEST_NAME } from '../database/column-types'
import { dialectOf, SUPPORTED_DATABASES, type Dialect } from '../database/dialect'
import { InvalidOptionError, UnsupportedDatabaseError } from '../errors'
import type { EnqueueResult, Handler } from '../handlers/contract/handler'
import type { HeldCall, TransactionRows } from '../handlers/contract/transaction-rows'
import type { JobEnvelope } from '../job/envelope'
import { inGroups } from '../database/row-group'
import { capped, valueText } from '../reporting/safe-error'
import { Delivery, LEASE, type DeliveryHost } from './delivery'
import { MariaDbOutbox } from './mariadb-outbox'
import { withTableAdvice } from './missing-table'
import type { NewRow, OutboxStore, OutboxStoreHost } from './outbox-store'
import { OUTBOX_TABLES } from './outbox-table'
import { payloadWithElapsedDelay, payloadOf } from './payload'
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
 * A row is leased for a few seconds at a time: first to the process that wrote it, then to any relay.
 */
export class Outbox {
  /** How the jobs of a transaction are written. */
  readonly transactionRows: TransactionRows<Pair>
  private readonly store: OutboxStore
  private readonly noted = new Set<string>()
  /** By `performance.now()`. */
  private nextLook = 0
  private readonly delivery: Delivery

  /** @throws UnsupportedDatabaseError */
  constructor(private readonly host: OutboxHost) {
    const { dataSource, source, logger } = host
    const isInsideTestTransaction = () => host.isInsideTestTransaction()
    const destination = destinationOf(host.handler)
    const storeHost = { source, destination, logger, withAdvice: withTableAdvice, isInsideTestTransaction }
    this.store = new STORES[supportedDialect(dataSource)](dataSource, storeHost)
    this.delivery = new Delivery(host, this.store)
    const { statement } = this.store
    this.transactionRows = {
      rowOf: pairOf,
      sizeOf,
      write: async (calls, transaction) => {
        await this.store.insertInTransaction(this.rowsNow(calls), LEASE, transaction)
        return calls.map(() => ({ state: 'deferred' }))
      },
      statement: statement && ((calls) => statement(this.rowsNow(calls), LEASE)),
      withAdvice: withTableAdvice,
    }
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
      await this.store.insertInTransaction(rowsOf(pairs), LEASE, runner).catch(rethrow)
      for (const { job } of pairs) this.delivery.mayPush(job, { calledAt: now, writtenAt: now })
    })
  }

  /** Stores jobs while the handler cannot be reached. Relays push them later. */
  keep(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    return insertInGroups(jobs, (pairs) => this.store.insertCommitted(rowsOf(pairs)).catch(rethrow))
  }

  /** Pushes committed jobs. Jobs that fail are left to the relays. Never rejects. */
  push(jobs: readonly JobEnvelope[]): Promise<void> {
    return this.delivery.push(jobs)
  }

  /** Pushes jobs that other processes have left. Returns false when the handler cannot be reached. */
  async relay(): Promise<boolean> {
    const isReached = await this.delivery.relay()
    await this.noteStranded()
    return isReached
  }

  /** Warns about rows for another destination, which wait for ever when the handler has a new one. */
  private async noteStranded(): Promise<void> {
    if (performance.now() < this.nextLook) return
    this.nextLook = performance.now() + STRANDED_AFTER
    const destination = await this.store.stranded(STRANDED_AFTER)
    if (destination === undefined || this.noted.has(destination)) return
    this.noted.add(destination)
    this.host.logger.warn(
      { destination, own: destinationOf(this.host.handler) },
      'jobs wait in the outbox for a handler that no worker has: run a worker with it, or, if its prefix or name was changed, ' +
        "set the column destination of these rows of backgrounded_outbox to ''",
    )
  }

  /** From now on, this process has leased the rows of these jobs. A delay counts from the call. */
  private rowsNow(calls: readonly HeldCall<Pair>[]): NewRow[] {
    const now = performance.now()
    return calls.map(({ row, since }) => {
      this.delivery.mayPush(row.job, { calledAt: since, writtenAt: now })
      return { id: row.job.id, payload: payloadWithElapsedDelay(row, now - since) }
    })
  }

  /** Waits for pushes under way. */
  async close(): Promise<void> {
    await this.delivery.close()
    this.store.close()
  }
}

/** ms */
const STRANDED_AFTER = 60_000

/** @throws InvalidOptionError */
function destinationOf({ name, destination = name }: Handler): string {
  if (typeof destination === 'string' && destination !== '' && destination.length <= LONGEST_NAME) return destination
  throw new InvalidOptionError(
    `The destination of the ${name} handler is ${capped(valueText(destination), 100)}: give a text of 1 to ${LONGEST_NAME} characters.`,
  )
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
  throw withTableAdvice(error)
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
