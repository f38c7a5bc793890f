import type { DataSource, QueryRunner } from 'typeorm'
import { dialectOf, SUPPORTED_DATABASES, type Dialect } from '../../dialect'
import { UnsupportedDatabaseError } from '../../errors'
import type { EnqueueResult } from '../../handlers/handler'
import type { JobEnvelope } from '../../job/envelope'
import { Delivery, LEASE, type DeliveryHost } from './delivery'
import { MariaDbOutbox } from './mariadb-outbox'
import { explained } from './missing-table'
import type { NewRow, OutboxStore, OutboxStoreHost } from './outbox-store'
import { OUTBOX_TABLES } from './outbox-table'
import { payloadOf } from './payload'
import { PostgresOutbox } from './postgres-outbox'
import { SqliteOutbox } from './sqlite-outbox'

export interface OutboxHost extends DeliveryHost {
  readonly dataSource: DataSource
  isInsideTestTransaction(): boolean
}

/** Bytes of payloads in one statement. */
const LARGEST_GROUP = 1_000_000

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
  constructor(host: OutboxHost) {
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
    return insertInGroups(jobs, async (group, rows) => {
      const until = performance.now() + LEASE
      await this.store.write(rows, LEASE, runner).catch(rethrow)
      for (const job of group) this.delivery.hasInHand(job, until)
    })
  }

  /** Keeps jobs that the handler could not be reached for: relays take them. */
  keep(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    return insertInGroups(jobs, (_, rows) => this.store.keep(rows).catch(rethrow))
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

type Insert = (jobs: readonly JobEnvelope[], rows: readonly NewRow[]) => Promise<void>

async function insertInGroups(jobs: readonly JobEnvelope[], insert: Insert): Promise<EnqueueResult[]> {
  const results: EnqueueResult[] = []
  let group: { job: JobEnvelope; row: NewRow }[] = []
  let size = 0
  const flush = async () => {
    if (group.length > 0)
      await insert(
        group.map(({ job }) => job),
        group.map(({ row }) => row),
      )
    group = []
    size = 0
  }
  for (const job of jobs) {
    const payload = payloadOf(job)
    if (payload instanceof Error) {
      results.push({ state: 'failed', error: payload })
      continue
    }
    if (size + payload.length > LARGEST_GROUP) await flush()
    group.push({ job, row: { id: job.id, payload } })
    size += payload.length
    results.push({ state: 'deferred' })
  }
  await flush()
  return results
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
