import type { DataSource, QueryRunner } from 'typeorm'
import { runInHalves } from '../concurrency/batcher'
import { isConnectionError } from '../database/errors'
import { dialectOf } from '../database/dialect'
import type { BackgroundedEvents } from '../events'
import { enqueueChecked, UnsoundResultError } from '../handlers/contract/checked-enqueue'
import type { EnqueueResult, Handler } from '../handlers/contract/handler'
import { rowsOfEnqueue, type TransactionRows, type WritesRows } from '../handlers/contract/transaction-rows'
import type { JobEnvelope } from '../job/envelope'
import { isError } from '../reporting/text-of'
import type { Logger } from '../logger'
import type { MethodTable } from '../metadata/method-table'
import type { Outbox } from '../outbox/outbox'
import { outsideAmbientScopes } from './ambient-transaction'
import { isInTransaction } from '../upstream/sqlite'
import { Deliveries } from './deliveries'
import { enqueueErrorFor, EnqueueReports } from './enqueue-reports'
import { EnvelopeMaker } from './envelope-maker'
import { HandlerCalls } from './handler-calls'
import { writeInHandmade } from './write-in-handmade'
import type { HeldJob } from './held-job'
import type { JobReceipt } from './job-receipt'
import { RunnerTurns } from './runner-turns'
import { isLost } from './ended-transaction'
import type { OpenTransaction } from './open-transaction'
import { touchedEntities, type Touch } from './touched-entities'
import { OpenTransactions } from './open-transactions'

export interface DispatcherHost {
  readonly dataSource: DataSource
  readonly source: string
  readonly handler: Handler
  readonly methods: MethodTable
  readonly events: BackgroundedEvents
  readonly logger: Logger
  readonly now: () => number
  /** Whether the current code runs in a job of this data source. */
  readonly runsCurrentJob: () => boolean
  /** Keeps jobs in the database until the handler has them. */
  readonly outbox?: Outbox
  /** TypeORM's runners send the statements at a transaction's edges through their own `query`. */
  sendsEdges(): boolean
}

/** The databases on which TypeORM has one query runner for everything. */
const ONE_CONNECTION = /sqlite|sqljs|expo|capacitor|cordova|nativescript|react-native/

/** What a call belongs to: a transaction, or a runner that may be in one. */
interface Whereabouts {
  readonly transaction?: OpenTransaction
  readonly runner?: QueryRunner
}

/** Sends the calls of one data source to its handler, at once or after the caller's commit. */
export class Dispatcher {
  readonly transactions: OpenTransactions
  readonly envelopes: EnvelopeMaker
  /** Whether all code of the process uses one connection. */
  readonly sharesRunner: boolean
  private readonly calls: HandlerCalls
  private readonly reports: EnqueueReports
  private readonly turns = new RunnerTurns()
  private readonly deliveries = new Deliveries()
  private lastDelivery: Promise<void> = Promise.resolve()

  constructor(readonly host: DispatcherHost) {
    const { dataSource, handler, source, methods, now, outbox, events, logger } = host
    this.sharesRunner = ONE_CONNECTION.test(dataSource.options.type)
    this.envelopes = new EnvelopeMaker(source, methods, handler, now)
    this.calls = new HandlerCalls(handler, outbox)
    this.reports = new EnqueueReports(events, logger)
    this.transactions = new OpenTransactions({
      dialect: dialectOf(dataSource.options.type),
      isInTransaction: () => isInTransaction(dataSource),
      sharesRunner: this.sharesRunner,
      rows: () => (outbox ? outbox.transactionRows : rowsOf(handler)),
      sendsEdges: () => host.sendsEdges(),
      refused: (envelope, error) => this.reports.refused(envelope, error),
      cameLate: (envelopes, runner) => this.deliver(envelopes, runner),
      committed: (jobs, runner) => this.committed(jobs, runner),
      rolledBackByCommit: (jobs) =>
        this.reports.dropped(
          jobs.map(({ envelope }) => envelope),
          'the database rolled a transaction back at its COMMIT, since a statement in it had failed: its jobs are dropped with it',
        ),
      rolledBackByDatabase: (jobs) =>
        this.reports.dropped(
          jobs.map(({ envelope }) => envelope),
          'the database has rolled a transaction back because of an error in it: its jobs are dropped with it',
        ),
      abandoned: (jobs) =>
        this.reports.dropped(
          jobs.map(({ envelope }) => envelope),
          'a query runner was released, or has lost its connection, before its transaction had ended: its jobs are dropped',
        ),
    })
  }

  /** Remembers in which transaction a manager's write touched these entities: a call on them follows it. */
  touched(entities: unknown, touch: Touch, runner: QueryRunner | undefined): void {
    const { transactions } = this
    if (!transactions.mayBeOpen || (runner && isLost(runner))) return
    const open = transactions.openRunner(runner)
    if (!open && touch === 'merge') return // a merge does not use the database
    for (const entity of touchedEntities(this.host.methods, entities, touch)) transactions.moveTo(open, entity)
  }

  /**
   * Sends a job to the handler, or adds it to the transaction that it belongs to.
   * @throws EnqueueError when the store refuses it; with an inline handler, the method's own error
   */
  submit(envelope: JobEnvelope, { transaction, runner }: Whereabouts): Promise<JobReceipt> {
    if (transaction) return this.submitInside(transaction, envelope)
    if (runner) return this.submitBy(runner, [envelope]).then(([receipt]) => receipt as JobReceipt)
    return this.submitOutside(envelope)
  }

  /** The same for several; receipts in order. */
  async submitAll(envelopes: readonly JobEnvelope[], { transaction, runner }: Whereabouts): Promise<JobReceipt[]> {
    if (transaction) return Promise.all(envelopes.map((envelope) => this.submitInside(transaction, envelope)))
    if (runner) return this.submitBy(runner, envelopes)
    return this.submitAllOutside(envelopes)
  }

  private async submitAllOutside(envelopes: readonly JobEnvelope[]): Promise<JobReceipt[]> {
    const results = await this.calls.sendAll(envelopes)
    return envelopes.map((envelope, index) => this.receipt(envelope, results[index] as EnqueueResult))
  }

  private async submitBy(runner: QueryRunner, envelopes: readonly JobEnvelope[]): Promise<JobReceipt[]> {
    const results = await this.turns.take(runner, () => writeInHandmade(this.host, runner, envelopes))
    if (!results) return this.submitAllOutside(envelopes)
    return envelopes.map((envelope, index) => {
      const result = results[index] as EnqueueResult
      if (result.state === 'failed') throw enqueueErrorFor(envelope, result.error)
      return { id: envelope.id, state: 'deferred', queue: envelope.queue }
    })
  }

  /**
   * Sends jobs through a runner that is in no transaction that TypeORM knows of.
   * @param mayBeInHandmade whether it may be in one that was begun with a statement
   * @returns one result per job
   */
  submitThrough(
    runner: QueryRunner,
    envelopes: readonly JobEnvelope[],
    mayBeInHandmade: boolean,
  ): Promise<readonly EnqueueResult[]> {
    return this.turns.take(runner, async () => {
      const { handler, outbox } = this.host
      const kept = mayBeInHandmade ? await writeInHandmade(this.host, runner, envelopes) : undefined
      if (kept) return kept
      if (!outbox && !handler.capabilities.transactional) {
        this.deliver(envelopes, runner)
        return envelopes.map(() => ({ state: 'deferred' }))
      }
      return runInHalves(
        envelopes,
        (some) => (outbox ? this.deliverThroughOutbox(outbox, some, runner) : this.enqueueThrough(some, runner)),
        (_, error): EnqueueResult => ({ state: 'failed', error }),
        isConnectionError,
      )
    })
  }

  private async submitOutside(envelope: JobEnvelope): Promise<JobReceipt> {
    return this.receipt(envelope, await this.calls.send(envelope))
  }

  /** `rowEvent` names what must not be enqueued twice in one transaction. */
  submitInside(transaction: OpenTransaction, envelope: JobEnvelope, rowEvent?: string): Promise<JobReceipt> {
    const receipt: JobReceipt = { id: envelope.id, state: 'deferred', queue: envelope.queue }
    const refuse = (error: unknown): never => {
      throw enqueueErrorFor(envelope, error)
    }
    try {
      const written = transaction.add(envelope, rowEvent)
      return written ? written.then(() => receipt, refuse) : Promise.resolve(receipt)
    } catch (error) {
      return Promise.reject(enqueueErrorFor(envelope, error) as Error)
    }
  }

  /**
   * Sends in the background, once TypeORM has released `runner`. A failure is emitted, logged, and thrown by `settled`.
   */
  deliver(envelopes: readonly JobEnvelope[], runner: QueryRunner): void {
    const isFree = this.lastDelivery.then(async () => {
      await nextMacrotask()
      await this.transactions.free(runner)
    })
    const delivery = isFree.then(() => outsideAmbientScopes(() => this.sendAll(envelopes)))
    this.deliveries.track(delivery)
    // In the order of the commits. Only jobs that run inside the delivery wait for each other.
    this.lastDelivery = this.runsInline ? delivery : isFree
  }

  /** Writes jobs to the outbox through a runner that is in no transaction, and pushes them in the background. */
  private async deliverThroughOutbox(
    outbox: Outbox,
    envelopes: readonly JobEnvelope[],
    runner: QueryRunner,
  ): Promise<readonly EnqueueResult[]> {
    const results = await outbox.write(envelopes, runner)
    this.deliveries.track(outbox.push(envelopes.filter((_, index) => results[index]?.state !== 'failed')))
    return results
  }

  /** On the same connection, because waiting here for another one of the pool could last for ever. */
  private async enqueueThrough(
    envelopes: readonly JobEnvelope[],
    runner: QueryRunner,
  ): Promise<readonly EnqueueResult[]> {
    const results = await enqueueChecked(this.host.handler, envelopes, runner)
    for (const [index, envelope] of envelopes.entries())
      if (results[index]?.state !== 'failed') this.reports.enqueued(envelope)
    return results
  }

  /**
   * Resolves when the handler has all jobs whose transactions have committed.
   * @throws the first error since the last call
   */
  async settled(): Promise<void> {
    await this.deliveries.idle()
    await this.calls.idle()
    this.deliveries.throwFirstFailure()
  }

  /** Like `settled`, for a process that is about to end, but without errors, because they were logged. */
  async flush(): Promise<void> {
    await this.settled().catch(() => {})
  }

  private async sendAll(envelopes: readonly JobEnvelope[]): Promise<void> {
    const results = await this.calls.sendAll(envelopes)
    for (const [index, envelope] of envelopes.entries()) {
      try {
        this.receipt(envelope, results[index] as EnqueueResult, false)
      } catch (error) {
        this.deliveries.failed(error)
        const message = this.runsInline
          ? 'a job failed after its commit'
          : 'a job could not be enqueued after its commit'
        this.reports.logFailure(envelope, error, message)
      }
    }
  }

  private receipt(envelope: JobEnvelope, result: EnqueueResult, isNews = true): JobReceipt {
    if (result.state === 'failed') {
      const isUnsound = isError(result.error) && result.error instanceof UnsoundResultError
      if (this.runsInline && !isUnsound) throw result.error
      if (isUnsound && isNews)
        this.reports.logFailure(envelope, result.error, 'the handler does not say what became of a job')
      this.reports.failed(envelope, result.error)
      throw enqueueErrorFor(envelope, result.error)
    }
    if (result.delivered) this.deliveries.track(this.whenDelivered(envelope, result.delivered))
    else if (result.state !== 'deferred') this.reports.enqueued(envelope)
    return { id: envelope.id, state: result.state, queue: envelope.queue }
  }

  private async whenDelivered(envelope: JobEnvelope, delivered: Promise<void>): Promise<void> {
    try {
      await delivered
      this.reports.enqueued(envelope)
    } catch (error) {
      this.reports.failed(envelope, error)
      this.reports.logFailure(envelope, error, 'a deferred job could not be enqueued')
      throw enqueueErrorFor(envelope, error)
    }
  }

  private committed(jobs: readonly HeldJob[], runner: QueryRunner): void {
    const { outbox } = this.host
    const [written, deferred, unsent] = [ofFate(jobs, 'written'), ofFate(jobs, 'deferred'), ofFate(jobs, 'pending')]
    if (outbox && written.length > 0) this.deliveries.track(outbox.push(written))
    else if (written.length > 0) this.emitEnqueued(written)
    if (deferred.length > 0) this.deliver(deferred, runner)
    if (unsent.length > 0) this.rescue(unsent, runner)
  }

  /** Sends jobs that should have been part of a committed transaction: late is better than never. */
  private rescue(unsent: readonly JobEnvelope[], runner: QueryRunner): void {
    this.reports.late(unsent)
    this.deliver(unsent, runner)
  }

  private emitEnqueued(written: readonly JobEnvelope[]): void {
    this.host.handler.committed?.(written)
    for (const envelope of written) this.reports.enqueued(envelope)
  }

  private get runsInline(): boolean {
    return this.host.handler.capabilities.consumes === 'inline'
  }
}

/** How the handler writes jobs inside the caller's transaction, if it does. */
function rowsOf(handler: Handler): TransactionRows<unknown> | undefined {
  if (!handler.capabilities.transactional) return undefined
  const own = (handler as Handler & Partial<WritesRows>).transactionRows?.()
  return own ?? (rowsOfEnqueue((jobs, runner) => enqueueChecked(handler, jobs, runner)) as TransactionRows<unknown>)
}

function ofFate(jobs: readonly HeldJob[], fate: HeldJob['state']): JobEnvelope[] {
  return jobs.filter((job) => job.state === fate).map(({ envelope }) => envelope)
}

/** TypeORM releases a transaction's connection right after its commit hooks have returned. */
function nextMacrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
