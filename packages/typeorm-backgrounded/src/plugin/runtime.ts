import type { BuiltInHost } from '../handlers/contract/built-in'
import type { DataSource, EntitySubscriberInterface, QueryRunner } from 'typeorm'
import { AfterCommit } from '../dispatch/after-commit'
import { outsideAmbientScopes } from '../dispatch/ambient-transaction'
import { Dispatcher, summaryOf } from '../dispatch/dispatcher'
import { checkMethodsHonoured } from '../dispatch/envelope-maker'
import { mayStillCome } from '../outbox/missing-table'
import { Outbox } from '../outbox/outbox'
import { attachDispatcher, detachDispatcher } from '../dispatch/route'
import { subscribers } from '../dispatch/subscriber'
import { MissingTableError, NoResolverError, OutdatedTableError } from '../errors'
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
/** Who attached a handler last, and is to close it. */
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
 * Asks the DI bridge of the running job's data source, or outside a job that of the one that has a bridge.
 * @throws NoResolverError
 */
export function resolve<T = unknown>(token: unknown): T {
  const manager = currentJobOrUndefined()?.manager
  const own = manager && resolvers.get(dataSourceOf(manager))
  const resolver = own ?? (resolvers.size === 1 ? [...resolvers.values()][0] : undefined)
  if (!resolver) throw new NoResolverError()
  return resolver.resolve(token) as T
}

/** Everything that hangs on one data source between `initialize()` and `destroy()`. */
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
  private readonly proof: Promise<void>
  private sendsEdges = false
  private readonly abandoned = withResolver()
  private readonly closed = withResolver()

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: BackgroundedOptions,
    private readonly events: BackgroundedEvents,
    private readonly testRunner: () => QueryRunner | undefined,
    /** Whose place this one takes. */
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
    const loader = new EntityLoader(dataSource, testManager)
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
            logger.error(
              { err: error, job: summaryOf(job) },
              'a job is refused by the handler, and stays in the outbox',
            )
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
    this.proof = this.proveEdges()
    this.afterCommit = new AfterCommit(this.dispatcher, () => runningChain(source))
    this.subscribers = subscribers(dataSource, this.dispatcher.transactions, methods, (change) =>
      this.afterCommit.touched(change),
    )

    const keepCompleted = options.keepCompleted === undefined ? 0 : milliseconds(options.keepCompleted, 'keepCompleted')
    // A handler that goes on as it was is not disturbed.
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

  /** @throws MissingTableError for an outbox without its table, unless that may be about to come */
  async start(): Promise<void> {
    await this.proof
    try {
      await this.outbox?.check()
    } catch (error) {
      const isAboutTable = error instanceof MissingTableError || error instanceof OutdatedTableError
      if (!isAboutTable || !(await mayStillCome(this.dataSource))) throw error
      this.logger.warn({ err: error }, 'calls fail until the outbox table is there')
    }
  }

  /** Until it is known, and where it does not hold, jobs are written by the hook before the commit. */
  private async proveEdges(): Promise<void> {
    if (!this.handler.capabilities.transactional && !this.outbox) return
    this.sendsEdges = await sendsCommitThroughQuery(this.dataSource)
    if (this.sendsEdges) return
    this.logger.warn(
      {},
      'this version of TypeORM commits in a way of its own: jobs cost their transaction one statement more',
    )
  }

  createWorker(options: WorkerOptions, once = false): Worker {
    const { handler, executor, logger, events, outbox } = this
    // A job is nobody's call: transactions around whoever started the worker are none of its business.
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

  /** Jobs of such a queue may come from a call that names it, or from another program: it may also be a slip of the pen. */
  private noteUnknownQueues(queues: readonly string[]): void {
    const known = this.methods.queues
    const unknown = queues.filter((queue) => !known.has(queue))
    if (unknown.length === 0) return
    this.logger.warn({ unknown, known: [...known] }, 'no method uses these queues: only calls that name them fill them')
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

  /** Delivers what is on its way, stops workers, and lets go of everything that keeps the process alive. Never rejects. */
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
    this.letGo()
    if (users.get(handler) !== this) return // another one uses it now
    users.delete(handler)
    await step('the handler', () => handler.close?.())
  }

  /**
   * Another one has taken its place: from now on this one only follows the transactions that were called in already, and
   * closes when they have ended. Never rejects.
   */
  async retire(): Promise<void> {
    const [, ...others] = this.subscribers // the first follows the edges of transactions
    this.unsubscribe(others)
    this.letGo()
    await Promise.race([this.dispatcher.transactions.idle(), this.abandoned.promise])
    await this.close()
    this.closed.resolve()
  }

  /** Does not wait for open transactions any longer: the data source ends them. */
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

  private letGo(): void {
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

  /** The handler runs jobs inside `enqueue`: through the same executor as a worker. */
  private consumeInline(handler: Handler & Consumable): void {
    const worker = { events: this.events, logger: quietAboutErrors(this.logger) }
    handler.consume(
      {
        queues: '*',
        pollInterval: 0,
        once: false,
        applied: (job, outcome) => emitOutcome(worker, this.executor.summarize(job), outcome, 0),
        lost: () => {},
      },
      (job) => outsideAmbientScopes(() => this.executor.execute(job)),
    )
  }
}

/** What an event must not start, so that methods which save their rows come to an end. */
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
  return (manager.dataSource ?? manager.connection) as DataSource // TypeORM 0.3 has the latter only
}

/** An inline job's error is the caller's, who decides about it. */
function quietAboutErrors(logger: Logger): Logger {
  const debug: Logger['debug'] = (fields, message) => logger.debug(fields, message)
  return { debug, info: debug, warn: debug, error: debug }
}
