import type { DataSource, QueryRunner } from 'typeorm'
import { Batcher, runInHalves } from '../concurrency/batcher'
import { isConflictError, isConnectionError } from '../database/errors'
import { BackgroundedError, EnqueueError, StoreUnavailableError } from '../errors'
import type { BackgroundedEvents, JobSummary } from '../events'
import type { EnqueueResult, Handler } from '../handlers/contract/handler'
import { rowsOfEnqueue, type TransactionRows, type WritesRows } from '../handlers/contract/transaction-rows'
import type { JobEnvelope } from '../job/envelope'
import type { Logger } from '../logger'
import type { MethodTable } from '../metadata/method-table'
import { outsideAmbientScopes } from './ambient-transaction'
import { EnvelopeMaker } from './envelope-maker'
import { isInHandmadeTransaction } from './handmade-transaction'
import type { HeldJob } from './held-job'
import type { OpenTransaction } from './open-transaction'
import type { Outbox } from '../outbox/outbox'
import { errorMessage } from '../reporting/safe-error'
import { touchedEntities, type Touch } from './touched-entities'
import { TransactionBuffer } from './transaction-buffer'

/** What a background call returns. */
export interface JobReceipt {
  /** UUIDv7; known at the call, before any commit. */
  readonly id: string
  /**
   * `'enqueued'`: the store has it. `'deferred'`: it waits for the caller's commit, or in the outbox for a store
   * that cannot be reached. `'duplicate'`: the store had it already. `'performed'`: it has run.
   */
  readonly state: 'enqueued' | 'deferred' | 'duplicate' | 'performed'
  readonly queue: string
}

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

/** How long a call may wait behind others that fail, in ms. */
const PATIENCE = 5_000

/** Sends the calls of one data source to its handler, at once or after the caller's commit. */
export class Dispatcher {
  readonly transactions: TransactionBuffer
  readonly envelopes: EnvelopeMaker
  /** Whether all code of the process uses one connection. */
  readonly sharesRunner: boolean
  private readonly batcher: Batcher<JobEnvelope, EnqueueResult>
  private readonly deliveries = new Set<Promise<void>>()
  private lastDelivery: Promise<void> = Promise.resolve()
  private firstFailure: { error: unknown } | undefined

  constructor(readonly host: DispatcherHost) {
    const { dataSource, handler, source, methods, now, outbox } = host
    this.sharesRunner = ONE_CONNECTION.test(dataSource.options.type)
    this.envelopes = new EnvelopeMaker(source, methods, handler, now)
    this.batcher = new Batcher((jobs) => this.store(jobs))
    this.transactions = new TransactionBuffer({
      sharesRunner: this.sharesRunner,
      rows: () => (outbox ? outbox.transactionRows : rowsOf(handler)),
      sendsEdges: () => host.sendsEdges(),
      refused: (envelope, error) => this.refused(envelope, error),
      cameLate: (envelopes, runner) => this.deliver(envelopes, runner),
      committed: (jobs, runner) => this.committed(jobs, runner),
      rolledBackByCommit: (jobs) =>
        this.dropped(
          jobs,
          'the database rolled a transaction back at its COMMIT, since a statement in it had failed: its jobs are dropped with it',
        ),
      abandoned: (jobs) =>
        this.dropped(
          jobs,
          'a query runner was released, or has lost its connection, before its transaction had ended: its jobs are dropped',
        ),
    })
  }

  /** Remembers in which transaction a manager's write touched these entities: a call on them follows it. */
  touched(entities: unknown, touch: Touch, runner: QueryRunner | undefined): void {
    const { transactions } = this
    if (!transactions.mayBeOpen) return
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
    const results = await this.sendTogether(envelopes)
    return envelopes.map((envelope, index) => this.receipt(envelope, results[index] as EnqueueResult))
  }

  private async submitBy(runner: QueryRunner, envelopes: readonly JobEnvelope[]): Promise<JobReceipt[]> {
    const isKept = await this.keepInHandmade(runner, envelopes)
    if (!isKept) return this.submitAllOutside(envelopes)
    return envelopes.map(({ id, queue }) => ({ id, state: 'deferred', queue }))
  }

  /**
   * Writes jobs within a transaction that was begun with a statement. There is no event at its end, so the jobs must be in
   * the database: workers claim them there, or relays push them from the outbox.
   * @returns false when the runner is not in such a transaction
   * @throws EnqueueError
   */
  async keepInHandmade(runner: QueryRunner, envelopes: readonly JobEnvelope[]): Promise<boolean> {
    const { handler, outbox } = this.host
    try {
      const isInside = await isInHandmadeTransaction(runner)
      const canKeep = outbox !== undefined || handler.capabilities.transactional
      if (isInside === false || (isInside === undefined && !canKeep)) return false
      if (!canKeep) throw handmadeTransactionRefused(handler)
      const results = await (outbox ? outbox.write(envelopes, runner) : handler.enqueue(envelopes, runner))
      for (const result of results) if (result.state === 'failed') throw result.error
      return true
    } catch (error) {
      throw this.asEnqueueError(error, envelopes[0] as JobEnvelope)
    }
  }

  private async submitOutside(envelope: JobEnvelope): Promise<JobReceipt> {
    const result = this.batches ? await this.batcher.add(envelope) : (await this.store([envelope]))[0]
    return this.receipt(envelope, result as EnqueueResult)
  }

  /** `rowEvent` names what must not be enqueued twice in one transaction. */
  submitInside(transaction: OpenTransaction, envelope: JobEnvelope, rowEvent?: string): Promise<JobReceipt> {
    const receipt: JobReceipt = { id: envelope.id, state: 'deferred', queue: envelope.queue }
    const refuse = (error: unknown): never => {
      throw this.asEnqueueError(error, envelope)
    }
    try {
      const written = transaction.add(envelope, rowEvent)
      return written ? written.then(() => receipt, refuse) : Promise.resolve(receipt)
    } catch (error) {
      return Promise.reject(this.asEnqueueError(error, envelope) as Error)
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
    this.track(delivery)
    // In the order of the commits. Only jobs that run inside the delivery wait for each other.
    this.lastDelivery = this.runsInline ? delivery : isFree
  }

  /**
   * Writes jobs to the outbox through a runner that is in no transaction, and pushes them in the background.
   * @throws the error that kept a job from being written
   */
  async deliverThroughOutbox(envelopes: readonly JobEnvelope[], runner: QueryRunner): Promise<void> {
    const outbox = this.host.outbox as Outbox
    const results = await outbox.write(envelopes, runner)
    const refused = results.find((result) => result.state === 'failed')
    if (refused?.state === 'failed') throw refused.error
    this.track(outbox.push(envelopes))
  }

  /**
   * Resolves when the handler has all jobs whose transactions have committed.
   * @throws the first error since the last call
   */
  async settled(): Promise<void> {
    while (this.deliveries.size > 0) await Promise.all(this.deliveries)
    await this.batcher.idle()
    const failure = this.firstFailure
    this.firstFailure = undefined
    if (failure) throw failure.error
  }

  /** Like `settled`, for a process that is about to end, but without errors, because they were logged. */
  async flush(): Promise<void> {
    await this.settled().catch(() => {})
  }

  private sendTogether(envelopes: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    if (!this.batches) return this.store(envelopes)
    return Promise.all(envelopes.map((envelope) => this.batcher.add(envelope)))
  }

  private async sendAll(envelopes: readonly JobEnvelope[]): Promise<void> {
    const results = await this.sendTogether(envelopes)
    for (const [index, envelope] of envelopes.entries()) {
      try {
        this.receipt(envelope, results[index] as EnqueueResult)
      } catch (error) {
        this.remember(error)
        this.host.logger.error(
          { err: error, job: summaryOf(envelope) },
          this.runsInline ? 'a job failed after its commit' : 'a job could not be enqueued after its commit',
        )
      }
    }
  }

  /** Stores jobs in the outbox when the handler cannot be reached. */
  private async store(envelopes: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    const { outbox } = this.host
    const results = await this.storeInHandler(envelopes)
    this.shedLoad(results)
    const isUnreached = (result: EnqueueResult) => result.state === 'failed' && isConnectionError(result.error)
    if (!outbox || !results.some(isUnreached)) return results
    const unreached = envelopes.filter((_, index) => isUnreached(results[index] as EnqueueResult))
    const kept = await runInHalves(
      unreached,
      (some) => outbox.keep(some),
      (_, error): EnqueueResult => ({ state: 'failed', error }),
      isConnectionError,
    )
    return results.map((result) => (isUnreached(result) ? (kept.shift() as EnqueueResult) : result))
  }

  /** Rejects calls that wait behind a store that does not answer, so that each fails soon. */
  private shedLoad(results: readonly EnqueueResult[]): void {
    const [first] = results
    if (this.host.outbox || first?.state !== 'failed' || !isConnectionError(first.error)) return
    const error = new StoreUnavailableError(`The store of the ${this.host.handler.name} handler does not answer.`, {
      cause: first.error,
    })
    this.batcher.dismiss(PATIENCE, { state: 'failed', error })
  }

  /** A job that fails does not keep the others from being sent. */
  private storeInHandler(envelopes: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    const isHopeless = (error: unknown) => isConnectionError(error) || isConflictError(error)
    return runInHalves(
      envelopes,
      (some) => this.host.handler.enqueue(some),
      (_, error) => ({ state: 'failed', error }),
      isHopeless,
    )
  }

  private receipt(envelope: JobEnvelope, result: EnqueueResult): JobReceipt {
    if (result.state === 'failed') {
      if (this.runsInline) throw result.error
      this.reportFailure(envelope, result.error)
      throw this.asEnqueueError(result.error, envelope)
    }
    if (result.delivered) this.track(this.whenDelivered(envelope, result.delivered))
    else if (result.state !== 'deferred') this.host.events.emit('enqueued', { job: summaryOf(envelope) })
    return { id: envelope.id, state: result.state, queue: envelope.queue }
  }

  private async whenDelivered(envelope: JobEnvelope, delivered: Promise<void>): Promise<void> {
    try {
      await delivered
      this.host.events.emit('enqueued', { job: summaryOf(envelope) })
    } catch (error) {
      this.reportFailure(envelope, error)
      this.host.logger.error({ err: error, job: summaryOf(envelope) }, 'a deferred job could not be enqueued')
      throw this.asEnqueueError(error, envelope)
    }
  }

  private committed(jobs: readonly HeldJob[], runner: QueryRunner): void {
    const { outbox } = this.host
    const [written, deferred, unsent] = [ofFate(jobs, 'written'), ofFate(jobs, 'deferred'), ofFate(jobs, 'pending')]
    if (outbox && written.length > 0) this.track(outbox.push(written))
    else if (written.length > 0) this.announce(written)
    if (deferred.length > 0) this.deliver(deferred, runner)
    if (unsent.length > 0) this.rescue(unsent, runner)
  }

  /** Sends jobs that should have been part of a committed transaction: late is better than never. */
  private rescue(unsent: readonly JobEnvelope[], runner: QueryRunner): void {
    this.host.logger.error(
      { jobs: unsent.map(summaryOf) },
      'a COMMIT has passed by these jobs, so that they are stored only now: something other than TypeORM sends it, please report what',
    )
    this.deliver(unsent, runner)
  }

  private announce(written: readonly JobEnvelope[]): void {
    this.host.handler.committed?.(written)
    for (const envelope of written) this.host.events.emit('enqueued', { job: summaryOf(envelope) })
  }

  private dropped(jobs: readonly HeldJob[], why: string): void {
    if (jobs.length > 0) this.host.logger.warn({ jobs: jobs.map(({ envelope }) => summaryOf(envelope)) }, why)
  }

  /** Logs the reason with which the commit rejects, for applications that ignore the rejection. */
  private refused(envelope: JobEnvelope, error: unknown): void {
    this.reportFailure(envelope, error)
    this.host.logger.error(
      { err: error, job: summaryOf(envelope) },
      'a job could not be stored in its transaction, which is rolled back',
    )
  }

  private track(delivery: Promise<void>): void {
    const tracked = delivery
      .catch((error: unknown) => this.remember(error))
      .finally(() => this.deliveries.delete(tracked))
    this.deliveries.add(tracked)
  }

  private remember(error: unknown): void {
    this.firstFailure ??= { error }
  }

  private reportFailure(envelope: JobEnvelope, error: unknown): void {
    this.host.events.emit('enqueueFailed', { job: summaryOf(envelope), error })
  }

  private asEnqueueError(error: unknown, { entity, method }: JobEnvelope): unknown {
    if (error instanceof BackgroundedError) return error
    return new EnqueueError(`${entity}.${method} could not be enqueued: ${errorMessage(error)}`, { cause: error })
  }

  private get batches(): boolean {
    return this.host.handler.capabilities.batches
  }

  private get runsInline(): boolean {
    return this.host.handler.capabilities.consumes === 'inline'
  }
}

/** How the handler writes jobs inside the caller's transaction, if it does. */
function rowsOf(handler: Handler): TransactionRows<unknown> | undefined {
  if (!handler.capabilities.transactional) return undefined
  const own = (handler as Handler & Partial<WritesRows>).transactionRows?.()
  return own ?? (rowsOfEnqueue((jobs, runner) => handler.enqueue(jobs, runner)) as TransactionRows<unknown>)
}

function ofFate(jobs: readonly HeldJob[], fate: HeldJob['state']): JobEnvelope[] {
  return jobs.filter((job) => job.state === fate).map(({ envelope }) => envelope)
}

export function summaryOf({ id, entity, key, method, queue }: JobEnvelope): JobSummary {
  return { id, entity, key, method, queue }
}

function handmadeTransactionRefused({ name }: Handler): EnqueueError {
  return new EnqueueError(
    `The manager of this call is in a transaction that was begun with a statement, whose end TypeORM does not ` +
      `tell the ${name} handler: begin it with queryRunner.startTransaction(), or pass { manager: null } to send the job now.`,
  )
}

/** TypeORM releases a transaction's connection right after its commit hooks have returned. */
function nextMacrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
