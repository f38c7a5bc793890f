import type { DataSource, QueryRunner } from 'typeorm'
import { Batcher, runInHalves } from '../../batcher'
import { isConnectionError } from '../../database-errors'
import { UnsupportedDatabaseError } from '../../errors'
import type { EnqueueResult, Handler, Relayed } from '../../handlers/handler'
import type { JobEnvelope } from '../../job/envelope'
import type { Logger } from '../../logger'
import { MariaDbOutbox } from './mariadb-outbox'
import { explained } from './missing-table'
import type { NewRow, OutboxStore, OutboxStoreHost, TakenRow } from './outbox-store'
import { dialectOf, OUTBOX_DATABASES, OUTBOX_TABLES, type Dialect } from './outbox-table'
import { aged, jobOf, payloadOf } from './payload'
import { PostgresOutbox } from './postgres-outbox'
import { SqliteOutbox } from './sqlite-outbox'

export interface OutboxHost {
  readonly dataSource: DataSource
  readonly source: string
  readonly handler: Handler
  readonly logger: Logger
  isInsideTestTransaction(): boolean
  /** A job of this or another process is with the handler now. */
  delivered(job: JobEnvelope): void
  /** The handler does not want a job that has been committed; it is tried again, ever more slowly. */
  refused(job: JobEnvelope, error: unknown): void
}

/** How long whoever has rows in hand may push them, in ms; what it has not pushed by then is anybody's. */
const LEASE = 5_000
/** A push counts from before it was decided upon: it must have arrived well before the lease ends. */
const MARGIN = 1_000
const LARGEST_GROUP = 1_000_000
const LONGEST_PAUSE = 5 * 60_000
const BATCH = 500

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
  /** Until when this process may push what it wrote, by `performance.now()`. */
  private readonly inHand = new WeakMap<JobEnvelope, number>()
  private readonly pushes: Batcher<JobEnvelope, boolean>
  private readonly forgetting = new Set<Promise<void>>()

  /** @throws UnsupportedDatabaseError */
  constructor(private readonly host: OutboxHost) {
    const { dataSource, source } = host
    const dialect = supportedDialect(dataSource)
    this.store = new STORES[dialect](dataSource, {
      source,
      explained,
      isInsideTestTransaction: () => host.isInsideTestTransaction(),
    })
    this.pushes = new Batcher((jobs) => this.pushOwn(jobs), { items: BATCH })
  }

  /** The entity of its table. */
  static entities(driver: string) {
    const dialect = dialectOf(driver)
    return dialect ? [OUTBOX_TABLES[dialect]] : []
  }

  /** @throws MissingTableError */
  async check(): Promise<void> {
    await this.store.check().catch((error: unknown) => {
      throw explained(error)
    })
  }

  /** Writes jobs inside the caller's transaction. */
  async write(jobs: readonly JobEnvelope[], transaction: QueryRunner): Promise<EnqueueResult[]> {
    return this.insert(jobs, async (rows) => {
      const until = performance.now() + LEASE
      await this.store.write(rows, LEASE, transaction).catch((error: unknown) => {
        throw explained(error)
      })
      return until
    })
  }

  /** Keeps jobs that the handler could not be reached for: relays take them. */
  async keep(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    return this.insert(jobs, async (rows) => {
      await this.store.keep(rows)
      return -Infinity
    })
  }

  /** Pushes jobs whose transaction has committed; what fails stays for the relays. Never rejects. */
  async push(jobs: readonly JobEnvelope[]): Promise<void> {
    await Promise.all(jobs.map((job) => this.pushes.add(job)))
  }

  /**
   * Pushes what others have left, in this process or in one that is gone.
   * @returns whether nothing is left that the handler could not be reached for
   */
  async relay(): Promise<boolean> {
    for (;;) {
      const rows = await this.store.take(BATCH, LEASE)
      if (rows.length === 0) return true
      const done = await this.deliver(await this.read(rows), performance.now() + LEASE)
      if (done.includes(false)) return false
      if (rows.length < BATCH) return true
    }
  }

  /** Waits for what is on its way. */
  async close(): Promise<void> {
    await this.pushes.idle()
    await Promise.all(this.forgetting)
    this.store.close()
  }

  private async insert(
    jobs: readonly JobEnvelope[],
    insert: (rows: readonly NewRow[]) => Promise<number>,
  ): Promise<EnqueueResult[]> {
    const results: EnqueueResult[] = []
    let group: NewRow[] = []
    let size = 0
    const flush = async () => {
      if (group.length === 0) return
      const until = await insert(group)
      const ids = new Set(group.map(({ id }) => id))
      for (const job of jobs) if (ids.has(job.id)) this.inHand.set(job, until)
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
      group.push({ id: job.id, payload })
      size += payload.length
      results.push({ state: 'deferred' })
    }
    await flush()
    return results
  }

  /** What this process wrote itself. A commit that came late finds its rows in anybody's hand: they are taken first. */
  private async pushOwn(jobs: readonly JobEnvelope[]): Promise<boolean[]> {
    try {
      const isInHand = (job: JobEnvelope) => (this.inHand.get(job) ?? 0) - performance.now() > MARGIN
      const late = jobs.filter((job) => !isInHand(job)).map(({ id }) => id)
      const own = jobs.filter(isInHand)
      const until = Math.min(...own.map((job) => this.inHand.get(job) as number), performance.now() + LEASE)
      const taken = late.length > 0 ? await this.read(await this.store.take(late.length, LEASE, late)) : []
      await this.deliver(
        [...own.map((job) => aged(job, LEASE - ((this.inHand.get(job) as number) - performance.now()))), ...taken],
        until,
      )
    } catch (error) {
      this.host.logger.warn(
        { reason: String(error), jobs: jobs.length },
        'jobs wait in the outbox for a worker to relay them',
      )
    }
    return jobs.map(() => true)
  }

  /** Pushes jobs that this process has in hand until then, and removes their rows. One answer for each: whether the handler was reached. */
  private async deliver(jobs: readonly JobEnvelope[], until: number): Promise<boolean[]> {
    const results = await this.pushAll(jobs, until - MARGIN - performance.now())
    const stored: string[] = []
    const unreached: string[] = []
    for (const [index, job] of jobs.entries()) {
      const result = results[index] as EnqueueResult
      if (result.state !== 'failed') stored.push(job.id)
      else if (isConnectionError(result.error)) unreached.push(job.id)
      else await this.putOff(job, result.error)
    }
    await this.settle(stored)
    const [failure] = results.filter((result) => result.state === 'failed')
    if (unreached.length > 0 && failure?.state === 'failed') {
      this.host.logger.warn(
        { reason: String(failure.error), jobs: unreached.length },
        'jobs wait in the outbox: the handler cannot be reached',
      )
      await this.store.giveBack(unreached, 0)
    }
    for (const [index, job] of jobs.entries()) if (results[index]?.state !== 'failed') this.host.delivered(job)
    return results.map((result) => result.state !== 'failed' || !isConnectionError(result.error))
  }

  private pushAll(jobs: readonly JobEnvelope[], validFor: number): Promise<EnqueueResult[]> {
    const { handler } = this.host
    const push = handler.capabilities.remembersPushes
      ? (some: readonly JobEnvelope[]) => (handler as Handler & Relayed).push(some, validFor)
      : (some: readonly JobEnvelope[]) => handler.enqueue(some)
    return runInHalves(jobs, push, (_, error) => ({ state: 'failed', error }), isConnectionError)
  }

  /** Removes the rows of jobs that the handler has, and only then lets it forget that it has them. */
  private async settle(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    await this.store.remove(ids)
    const { handler, logger } = this.host
    if (!handler.capabilities.remembersPushes) return
    const forgetting = (handler as Handler & Relayed)
      .forget(ids)
      .catch((error: unknown) => logger.debug({ err: error }, 'the handler forgets pushed jobs later'))
      .finally(() => this.forgetting.delete(forgetting))
    this.forgetting.add(forgetting)
  }

  /** What nobody can read, since somebody else wrote it, stays too. */
  private async read(rows: readonly TakenRow[]): Promise<JobEnvelope[]> {
    const jobs: JobEnvelope[] = []
    for (const { id, payload, age } of rows) {
      const job = jobOf(id, payload, this.host.source)
      if (job) jobs.push(aged(job, age))
      else {
        this.host.logger.error({ row: id }, 'a row of the outbox holds no job: remove it, or mend its payload')
        await this.store.giveBack([id], LONGEST_PAUSE)
      }
    }
    return jobs
  }

  /** A job that the handler does not want stays, and is tried again after as long as it has been there already. */
  private async putOff(job: JobEnvelope, error: unknown): Promise<void> {
    const age = Date.now() - Date.parse(job.enqueuedAt) || 0
    await this.store.giveBack([job.id], Math.min(Math.max(age, 1_000), LONGEST_PAUSE))
    this.host.refused(job, error)
  }
}

/** @throws UnsupportedDatabaseError */
export function supportedDialect({ options }: DataSource): Dialect {
  const dialect = dialectOf(options.type)
  if (dialect) return dialect
  throw new UnsupportedDatabaseError(
    `The outbox works on ${OUTBOX_DATABASES.join(', ')}, and this data source is ${options.type}: pass { outbox: false } to ` +
      `withBackgrounded, after which a call whose process dies right after its commit is lost.`,
  )
}
