import type { BuiltInHost } from '../handlers/contract/built-in'
import type { DataSource, EntitySubscriberInterface, QueryRunner } from 'typeorm'
import { AfterCommit } from '../dispatch/after-commit'
import { outsideAmbientScopes } from '../dispatch/ambient-transaction'
import { Dispatcher } from '../dispatch/dispatcher'
import { summaryOf } from '../dispatch/job-receipt'
import { checkMethodsHonoured } from '../dispatch/envelope-maker'
import { mayStillCome } from '../outbox/missing-table'
import { Outbox } from '../outbox/outbox'
import { attachDispatcher, detachDispatcher } from '../dispatch/transaction-of-call'
import { subscribers } from '../dispatch/subscriber'
import { isBackgroundedError, NoResolverError } from '../errors'
import type { BackgroundedEvents } from '../events'
import { checkEntities } from './tables'
import type { ClaimedJob, Consumable } from '../handlers/contract/consumable'
import type { Handler } from '../handlers/contract/handler'
import { milliseconds } from '../job/duration'
import { linkOf, type EventChain } from '../job/event-chain'
import type { JsonObject } from '../job/json'
import { consoleLogger, type Logger } from '../logger'
import { guarded } from '../reporting/guarded-logger'
import { MethodTable } from '../metadata/method-table'
import { shared } from '../metadata/registry'
import { proveRepeatedFinds, type RepeatedFinds } from '../upstream/repeated-find'
import { installedVersion } from '../upstream/installed-version'
import { sendsCommitThroughQuery } from '../upstream/typeorm'
import { withResolver } from '../concurrency/sleep'
import { usesOutbox, type BackgroundedOptions } from './options'
import { concurrencyOf, type Surroundings } from '../worker/concurrency'
import { EntityLoader } from '../worker/reload/entity-loader'
import { Executor, type RunListener } from '../worker/executor'
import { currentJobOrUndefined, eventChainOf } from '../worker/job-context'
import { emitOutcome, Worker, type WorkerOptions } from '../worker/worker'

const initialised = shared('runtimes', () => new Set<Runtime>())
const resolvers = shared('resolvers', () => new Map<DataSource, Resolver>())
/** The runtime that attached a handler last, and has to close it. */
const users = shared('handler-users', () => new WeakMap<Handler, Runtime>())

interface Resolver {
  readonly owner: Runtime
  readonly resolve: (token: unknown) => unknown
}

/** The runtimes of all initialised data sources. */
export function runtimes(): Runtime[] {
  return [...initialised]
}

/**
 * Calls the `resolve` option of the running job's data source. Outside a job, or where that data source has none, it calls
 * the only one that there is.
 * @throws NoResolverError
 */
export function resolve<T = unknown>(token: unknown): T {
  const manager = currentJobOrUndefined()?.manager
  const own = manager && resolvers.get(dataSourceOf(manager))
  const resolver = own ?? (resolvers.size === 1 ? [...resolvers.values()][0] : undefined)
  if (!resolver) throw new NoResolverError()
  return resolver.resolve(token) as T
}

/** The plugin's parts on one data source between `initialize()` and `destroy()`. */
export class Runtime {
  readonly handler: Handler
  readonly methods: MethodTable
  readonly dispatcher: Dispatcher
  readonly afterCommit: AfterCommit
  private readonly outbox: Outbox | undefined
  private readonly executor: Executor
  private readonly logger: Logger
  private readonly subscribers: EntitySubscriberInterface[]
  private readonly workers = new Set<Worker>()
  private isClosed = false
  private readonly proof: Promise<unknown>
  private sendsEdges = false
  private repeatedFinds: RepeatedFinds = { repeatSql: false, hydrate: false }
  private readonly abandoned = withResolver()
  private readonly closed = withResolver()

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: BackgroundedOptions,
    private readonly events: BackgroundedEvents,
    private readonly testRunner: () => QueryRunner | undefined,
    /** The runtime that this one replaces. */
    previous?: Runtime,
  ) {
    const { handler, source = 'default' } = options
    const logger = guarded(options.logger ?? consoleLogger)
    this.handler = handler
    this.logger = logger
    this.methods = new MethodTable(dataSource, options)
    checkMethodsHonoured(this.methods, handler)
    checkEntities(dataSource, options)

    const now = Date.now
    const { methods } = this
    const testManager = () => testRunner()?.manager
    const manager = () => testManager() ?? dataSource.manager
    const loader = new EntityLoader(dataSource, testManager, () => this.repeatedFinds)
    this.executor = new Executor({ manager, source, methods, loader, events, logger, now })
    const runsCurrentJob = () => isJobOf(dataSource)
    const isInsideTestTransaction = () => testRunner() !== undefined
    this.outbox = usesOutbox(options)
      ? new Outbox({
          dataSource,
          source,
          handler,
          logger,
          isInsideTestTransaction,
          delivered: (job) => events.emit('enqueued', { job: summaryOf(job) }),
          refused: (job, error) => {
            events.emit('enqueueFailed', { job: summaryOf(job), error })
            logger.error({ err: error, job: summaryOf(job) }, 'the handler refuses a job, which stays in the outbox')
          },
        })
      : undefined
    this.dispatcher = new Dispatcher({
      dataSource,
      source,
      handler,
      methods,
      events,
      logger,
      now,
      runsCurrentJob,
      outbox: this.outbox,
      sendsEdges: () => this.sendsEdges,
    })
    this.proof = Promise.all([this.proveEdges(), this.proveFinds()])
    this.afterCommit = new AfterCommit(this.dispatcher, () => runningChain(source))
    this.subscribers = subscribers(dataSource, this.dispatcher.transactions, methods, (change) =>
      this.afterCommit.touched(change),
    )

    const keepCompleted = options.keepCompleted === undefined ? 0 : milliseconds(options.keepCompleted, 'keepCompleted')
    // A handler that goes on with the same options is not attached again.
    const host: BuiltInHost = { dataSource, source, logger, keepCompleted, testRunner }
    if (!previous?.hasAttachedAs(options)) handler.attach?.(host)
    users.set(handler, this)
    if (handler.capabilities.consumes === 'inline') this.consumeInline(handler as Handler & Consumable)
    dataSource.subscribers.push(...this.subscribers)
    attachDispatcher(this.dispatcher)
    if (options.resolve) resolvers.set(dataSource, { owner: this, resolve: options.resolve })
    else resolvers.delete(dataSource)
    initialised.add(this)
  }

  /** @throws MissingTableError, OutdatedTableError for an outbox whose table is not ready, unless a migration may still mend it */
  async start(): Promise<void> {
    await this.proof
    try {
      await this.outbox?.check()
    } catch (error) {
      const isAboutTable = isBackgroundedError(error, 'MISSING_TABLE', 'OUTDATED_TABLE')
      if (!isAboutTable || !(await mayStillCome(this.dataSource))) throw error
      this.logger.warn({ err: error }, 'calls fail until the outbox table is ready')
    }
  }

  /** Finds out whether jobs can be sent with the COMMIT. Until then, and where they cannot, the before-commit hook writes them. */
  private async proveEdges(): Promise<void> {
    if (!this.handler.capabilities.transactional && !this.outbox) return
    this.sendsEdges = await sendsCommitThroughQuery(this.dataSource)
    if (this.sendsEdges) return
    this.logger.warn(
      {},
      'this version of TypeORM does not send COMMIT through query(), so jobs cost their transaction one more statement',
    )
  }

  /** Finds out which shortcuts of loading rows work. Until then, and where they do not, rows are loaded in the plain way. */
  private async proveFinds(): Promise<void> {
    this.repeatedFinds = await proveRepeatedFinds(this.dataSource)
    const { repeatSql, hydrate } = this.repeatedFinds
    if (repeatSql && hydrate) return
    this.logger.warn(
      { repeatSql, hydrate },
      `TypeORM ${installedVersion('typeorm')} loads rows in another way than this library knows, so loading the rows of jobs takes longer`,
    )
  }

  createWorker(options: WorkerOptions, once = false): Worker {
    const { handler, executor, logger, events, outbox } = this
    // A job must not see the transactions in which the worker was started.
    const outside = {
      execute: (job: ClaimedJob, listener?: RunListener) => outsideAmbientScopes(() => executor.execute(job, listener)),
      summarize: executor.summarize.bind(executor),
      prefetchQuery: executor.prefetchQuery.bind(executor),
    }
    const concurrency = (asked: number | undefined) => concurrencyOf(asked, this.surroundings())
    const host = { handler, executor: outside, events, logger, outbox, concurrency, running: this.workers }
    const worker = new Worker({ ...host, isClosed: () => this.isClosed }, options, once)
    this.noteUnknownQueues(options.queues ?? [])
    return worker
  }

  /** Only warns, because a call or another program may name such a queue; but it may also be a spelling mistake. */
  private noteUnknownQueues(queues: readonly string[]): void {
    const known = this.methods.queues
    const unknown = queues.filter((queue) => !known.has(queue))
    if (unknown.length === 0) return
    this.logger.warn(
      { unknown, known: [...known] },
      'no method uses these queues, so they get jobs only from calls that name them',
    )
  }

  private surroundings(): Surroundings {
    const { dataSource, logger } = this
    return { dataSource, logger, isInsideTestTransaction: this.testRunner() !== undefined }
  }

  async drain(options: WorkerOptions): Promise<Worker> {
    const worker = this.createWorker(options, true)
    if (this.handler.capabilities.consumes === 'worker') await worker.run()
    return worker
  }

  /** Delivers the calls that are on their way, stops workers, and closes all that keeps the process alive. Never rejects. */
  async close(): Promise<void> {
    this.isClosed = true
    const { logger, handler } = this
    const step = async (what: string, work: () => unknown) => {
      try {
        await work()
      } catch (error) {
        logger.error({ err: error, handler: handler.name }, `${what} failed while the data source was closed`)
      }
    }
    await step('a worker', () => Promise.all([...this.workers].map((worker) => worker.stop())))
    await step('a delivery', () => this.dispatcher.flush())
    await step('the outbox', () => this.outbox?.close())
    this.unsubscribe(this.subscribers)
    this.unregister()
    if (users.get(handler) !== this) return // another runtime uses it now
    users.delete(handler)
    await step('the handler', () => handler.close?.())
  }

  /**
   * Called when another runtime has replaced this one. It only follows the open transactions in which it has calls, and
   * closes when they have ended. Never rejects.
   */
  async retire(): Promise<void> {
    const [, ...others] = this.subscribers // the first follows the edges of transactions
    this.unsubscribe(others)
    this.unregister()
    await Promise.race([this.dispatcher.transactions.idle(), this.abandoned.promise])
    await this.close()
    this.closed.resolve()
  }

  /** Stops waiting for open transactions, because the data source is about to end them. */
  abandon(): Promise<void> {
    this.abandoned.resolve()
    return this.closed.promise
  }

  private hasAttachedAs({ handler, source, logger, keepCompleted }: BackgroundedOptions): boolean {
    const { options } = this
    return (
      users.get(handler) === this &&
      options.source === source &&
      options.logger === logger &&
      options.keepCompleted === keepCompleted
    )
  }

  private unregister(): void {
    detachDispatcher(this.dispatcher)
    if (resolvers.get(this.dataSource)?.owner === this) resolvers.delete(this.dataSource)
    initialised.delete(this)
  }

  private unsubscribe(own: readonly EntitySubscriberInterface[]): void {
    const { subscribers } = this.dataSource
    for (const subscriber of own) {
      const index = subscribers.indexOf(subscriber)
      if (index >= 0) subscribers.splice(index, 1)
    }
  }

  /** For a handler that runs jobs inside `enqueue`, with the same executor as a worker. */
  private consumeInline(handler: Handler & Consumable): void {
    const worker = { events: this.events, logger: quietAboutErrors(this.logger) }
    handler.consume(
      {
        queues: '*',
        pollInterval: 0,
        once: false,
        applied: (job, outcome) => emitOutcome(worker, this.executor.summarize(job), outcome, 0),
        leaseLost: () => {},
      },
      (job) => outsideAmbientScopes(() => this.executor.execute(job)),
    )
  }
}

/** The methods that an after-commit event must not start again, so that methods which save their row do not run for ever. */
function runningChain(source: string): EventChain {
  const job = currentJobOrUndefined()
  if (!job) return []
  return eventChainOf(job) ?? [linkOf(source, job.entity, (job.key ?? {}) as JsonObject, job.method)]
}

function isJobOf(dataSource: DataSource): boolean {
  const manager = currentJobOrUndefined()?.manager
  return manager !== undefined && dataSourceOf(manager) === dataSource
}

function dataSourceOf(manager: { dataSource?: DataSource; connection?: DataSource }): DataSource {
  return (manager.dataSource ?? manager.connection) as DataSource // TypeORM 0.3 has only `connection`
}

/** Logs everything at debug level, because the call itself rejects with the error of an inline job. */
function quietAboutErrors(logger: Logger): Logger {
  const debug: Logger['debug'] = (fields, message) => logger.debug(fields, message)
  return { debug, info: debug, warn: debug, error: debug }
}
