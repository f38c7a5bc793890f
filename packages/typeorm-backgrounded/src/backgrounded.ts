import type { DataSource, DataSourceOptions, EntitySubscriberInterface, QueryRunner } from 'typeorm'
import { AfterCommit } from './dispatch/after-commit'
import { outsideAmbientScopes } from './dispatch/ambient-transaction'
import { Dispatcher } from './dispatch/dispatcher'
import { checkMethodsHonoured } from './dispatch/envelope-maker'
import { trackManagers } from './dispatch/manager-tracking'
import { attachDispatcher, detachDispatcher } from './dispatch/route'
import { subscribers } from './dispatch/subscriber'
import { isTestTransactionOpen } from './dispatch/transaction-buffer'
import {
  HandlerInUseError,
  InvalidOptionError,
  MissingTableError,
  NoResolverError,
  NotAttachedError,
  UnsupportedOptionError,
} from './errors'
import { BackgroundedEvents } from './events'
import type { ClaimedJob, Consumable, EntityTargets, Handler } from './handlers/handler'
import { milliseconds, type Duration } from './job/duration'
import type { JsonObject } from './job/json'
import { keyText } from './job/key-codec'
import { consoleLogger, type Logger } from './logger'
import { MethodTable, type MethodTableOptions } from './metadata/method-table'
import { shared } from './metadata/registry'
import type { MethodOptions } from './options'
import { EntityLoader } from './worker/entity-loader'
import { Executor } from './worker/executor'
import { currentJobOrUndefined } from './worker/job-context'
import { announce, Worker, type WorkCounts, type WorkerOptions } from './worker/worker'

export interface BackgroundedOptions extends MethodTableOptions {
  /** Where jobs are kept. One instance serves one data source. */
  readonly handler: Handler
  /** Options for every method that does not set its own. */
  readonly defaults?: MethodOptions
  /** Bridge to a DI container, for `resolve(token)` in methods. May return a promise. */
  readonly resolve?: (token: unknown) => unknown
  /** This data source's name in stored jobs, where there are several; default `'default'`. */
  readonly source?: string
  /** pino's shape; default: warnings and errors on the console. */
  readonly logger?: Logger
  /** How long completed jobs stay findable, as '1d'; default: they are removed at once. */
  readonly keepCompleted?: Duration
  /** A table that keeps jobs until a handler outside the database has them. Comes with a later version. */
  readonly outbox?: boolean
}

/** The plugin on one data source, for as long as the data source lives. */
interface Attachment {
  options: BackgroundedOptions
  readonly events: BackgroundedEvents
  runtime?: Runtime
  /** Set by `insideTestTransaction`. */
  testRunner?: QueryRunner
}

const attachments = shared('attachments', () => new WeakMap<DataSource, Attachment>())
const handlersInUse = shared('handlers-in-use', () => new WeakMap<Handler, DataSource>())
const initialised = shared('runtimes', () => new Set<Runtime>())
const resolvers = shared('resolvers', () => new Map<DataSource, (token: unknown) => unknown>())

/**
 * Attaches the plugin to a data source and returns it. Before `initialize()` it also adds the entities that
 * the handler needs; after it, it attaches at once. Attaching again replaces the options and closes the old
 * handler. `dataSource.destroy()` delivers what is on its way and closes the handler.
 *
 * @throws InvalidOptionError, UnsupportedOptionError, HandlerInUseError; marks that cannot work are refused
 * when the data source is initialised
 */
export function withBackgrounded<D extends DataSource>(dataSource: D, options: BackgroundedOptions): D {
  checkOptions(options)
  const known = attachments.get(dataSource)
  const attachment = known ?? { options, events: newEvents(dataSource) }
  reserveHandler(dataSource, options.handler)
  if (known && known.options.handler !== options.handler) {
    handlersInUse.delete(known.options.handler)
    removeEntities(dataSource, known.options.handler)
  }
  attachment.options = options
  attachments.set(dataSource, attachment)
  if (!known) {
    followLifecycle(dataSource, attachment)
    followTransactions(dataSource, attachment)
  }
  if (dataSource.isInitialized) {
    void attachment.runtime?.close()
    attachment.runtime = undefined
    attachment.runtime = new Runtime(dataSource, attachment)
  } else addEntities(dataSource, options.handler)
  return dataSource
}

/** The typed events of a data source; they survive `destroy()` and `initialize()`. */
export function backgroundedEvents(dataSource: DataSource): BackgroundedEvents {
  return attachmentOf(dataSource).events
}

/**
 * A worker in this process; `run()` it, `stop()` it.
 * @throws InvalidOptionError, NotAttachedError
 */
export function createWorker(dataSource: DataSource, options: WorkerOptions = {}): Worker {
  return runtimeOf(dataSource).createWorker(options)
}

export interface DrainOptions extends Pick<WorkerOptions, 'queues' | 'concurrency'> {
  /** Throw the error of the first job that failed for good, default false. */
  readonly throwOnFailure?: boolean
}

/**
 * Runs everything that is due, and returns what became of it. A job that is released is not taken again.
 * With a handler that keeps no jobs there is nothing to run.
 */
export async function drain(
  dataSource: DataSource,
  { throwOnFailure = false, ...options }: DrainOptions = {},
): Promise<WorkCounts> {
  const runtime = runtimeOf(dataSource)
  await runtime.dispatcher.settled()
  const worker = await runtime.drain(options)
  if (throwOnFailure && worker.firstFailure) throw worker.firstFailure.error
  return worker.counts
}

/**
 * Resolves when every deferred call whose commit has happened is with the handler; with
 * `SynchronousHandler`, has been performed.
 * @throws the first error since the last call
 */
export async function settled(dataSource: DataSource): Promise<void> {
  await runtimeOf(dataSource).dispatcher.settled()
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
  return resolver(token) as T
}

/** The plugin's parts on an initialised data source. */
export function runtimeOf(dataSource: DataSource): Runtime {
  const { runtime } = attachmentOf(dataSource)
  if (!runtime) throw new NotAttachedError('This data source is not initialised: await dataSource.initialize() first.')
  return runtime
}

/** The runtimes of all initialised data sources. */
export function runtimes(): Runtime[] {
  return [...initialised]
}

/** Logs to `logger` unless the application chose one itself. For the CLI, before `initialize()`. */
export function withDefaultLogger(dataSource: DataSource, logger: Logger): void {
  const attachment = attachmentOf(dataSource)
  attachment.options = { logger, ...attachment.options }
}

/** What `insideTestTransaction` sets. */
export function useTestRunner(dataSource: DataSource, runner: QueryRunner): void {
  attachmentOf(dataSource).testRunner = runner
}

/** Everything that hangs on one data source between `initialize()` and `destroy()`. */
export class Runtime {
  readonly handler: Handler
  readonly methods: MethodTable
  readonly dispatcher: Dispatcher
  readonly afterCommit: AfterCommit
  private readonly executor: Executor
  private readonly logger: Logger
  private readonly subscribers: EntitySubscriberInterface[]
  private readonly workers = new Set<Worker>()

  constructor(
    private readonly dataSource: DataSource,
    private readonly attachment: Attachment,
  ) {
    const { options, events } = attachment
    const { handler, source = 'default', logger = consoleLogger } = options
    this.handler = handler
    this.logger = logger
    this.methods = new MethodTable(dataSource, options)
    checkMethodsHonoured(this.methods, handler)
    checkEntities(dataSource, handler)

    const now = Date.now
    const { methods } = this
    const testManager = () => openTestRunner(attachment)?.manager
    const manager = () => testManager() ?? dataSource.manager
    const loader = new EntityLoader(dataSource, testManager)
    this.executor = new Executor({ manager, source, methods, loader, events, logger, now })
    this.dispatcher = new Dispatcher({ dataSource, source, handler, methods, events, logger, now })
    this.afterCommit = new AfterCommit(this.dispatcher, isRunning)
    this.subscribers = subscribers(dataSource, this.dispatcher.transactions, methods, (change) =>
      this.afterCommit.touched(change),
    )

    handler.attach?.({
      dataSource,
      source,
      logger,
      keepCompleted: options.keepCompleted === undefined ? 0 : milliseconds(options.keepCompleted, 'keepCompleted'),
      isInsideTestTransaction: () => openTestRunner(attachment) !== undefined,
    })
    if (handler.capabilities.consumes === 'inline') this.consumeInline(handler as Handler & Consumable)
    dataSource.subscribers.push(...this.subscribers)
    attachDispatcher(this.dispatcher)
    if (options.resolve) resolvers.set(dataSource, options.resolve)
    initialised.add(this)
  }

  createWorker(options: WorkerOptions, once = false): Worker {
    const { handler, executor, logger, attachment } = this
    // A job is nobody's call: transactions around whoever started the worker are none of its business.
    const outside = {
      execute: (job: ClaimedJob) => outsideAmbientScopes(() => executor.execute(job)),
      summarize: executor.summarize.bind(executor),
    }
    const worker = new Worker({ handler, executor: outside, events: attachment.events, logger }, options, once)
    this.workers.add(worker)
    return worker
  }

  async drain(options: WorkerOptions): Promise<Worker> {
    const worker = this.createWorker(options, true)
    try {
      if (this.handler.capabilities.consumes === 'worker') await worker.run()
    } finally {
      this.workers.delete(worker)
    }
    return worker
  }

  /** Delivers what is on its way, stops workers, and lets go of everything that keeps the process alive. */
  async close(): Promise<void> {
    await Promise.all([...this.workers].map((worker) => worker.stop()))
    await this.dispatcher.flush()
    for (const subscriber of this.subscribers) {
      const index = this.dataSource.subscribers.indexOf(subscriber)
      if (index >= 0) this.dataSource.subscribers.splice(index, 1)
    }
    detachDispatcher(this.dispatcher)
    resolvers.delete(this.dataSource)
    initialised.delete(this)
    await this.handler.close?.()
  }

  /** The handler runs jobs inside `enqueue`: through the same executor as a worker. */
  private consumeInline(handler: Handler & Consumable): void {
    const worker = { events: this.attachment.events, logger: quietAboutErrors(this.logger) }
    handler.consume(
      {
        queues: '*',
        pollInterval: 0,
        once: false,
        applied: (job, outcome) => announce(worker, this.executor.summarize(job), outcome, 0),
        lost: () => {},
      },
      (job) => outsideAmbientScopes(() => this.executor.execute(job)),
    )
  }
}

function followLifecycle(dataSource: DataSource, attachment: Attachment): void {
  const initialize = dataSource.initialize.bind(dataSource)
  const destroy = dataSource.destroy.bind(dataSource)
  override(dataSource, 'initialize', async () => {
    reserveHandler(dataSource, attachment.options.handler)
    addEntities(dataSource, attachment.options.handler)
    await initialize()
    try {
      attachment.runtime = new Runtime(dataSource, attachment)
    } catch (error) {
      await destroy()
      throw error
    }
    return dataSource
  })
  override(dataSource, 'destroy', async () => {
    const { runtime } = attachment
    attachment.runtime = undefined
    await runtime?.close()
    handlersInUse.delete(attachment.options.handler)
    await destroy()
  })
}

function followTransactions(dataSource: DataSource, attachment: Attachment): void {
  trackManagers(dataSource, {
    openScope: (runner) => {
      const transaction = attachment.runtime?.dispatcher.transactions.current(runner)
      return transaction && { dataSource, transaction }
    },
    duringInsert: (rows, work) => attachment.runtime?.afterCommit.duringInsert(rows, work) ?? work(),
  })
}

/** Replaces a method on one object, out of sight of whoever lists its properties. */
function override<T extends object, K extends keyof T>(target: T, name: K, value: T[K]): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false })
}

function reserveHandler(dataSource: DataSource, handler: Handler): void {
  const user = handlersInUse.get(handler)
  if (user && user !== dataSource) throw new HandlerInUseError(handler.name)
  handlersInUse.set(handler, dataSource)
}

function entitiesOf(dataSource: DataSource, handler: Handler): EntityTargets {
  return handler.entities?.(dataSource.options.type, dataSource) ?? []
}

function addEntities(dataSource: DataSource, handler: Handler): void {
  const listed = listedEntities(dataSource)
  const missing = entitiesOf(dataSource, handler).filter((entity) => !listed.includes(entity))
  if (missing.length > 0) setEntities(dataSource, [...listed, ...missing])
}

function removeEntities(dataSource: DataSource, handler: Handler): void {
  const unwanted = entitiesOf(dataSource, handler)
  if (unwanted.length > 0)
    setEntities(
      dataSource,
      listedEntities(dataSource).filter((entity) => !unwanted.includes(entity)),
    )
}

function listedEntities(dataSource: DataSource): EntityTargets {
  const { entities = [] } = dataSource.options
  return Array.isArray(entities) ? entities : Object.values(entities as Record<string, EntityTargets[number]>)
}

function setEntities(dataSource: DataSource, entities: EntityTargets): void {
  dataSource.setOptions({ entities: [...entities] } as Partial<DataSourceOptions>)
}

/** @throws MissingTableError for a data source that was initialised before it was attached */
function checkEntities(dataSource: DataSource, handler: Handler): void {
  const missing = entitiesOf(dataSource, handler).filter((entity) => !dataSource.hasMetadata(entity))
  if (missing.length === 0) return
  throw new MissingTableError(
    `The data source lacks entities that the ${handler.name} handler needs: call withBackgrounded() before initialize(), ` +
      `or list [...handler.entities('${dataSource.options.type}')] among its "entities".`,
  )
}

function openTestRunner({ testRunner }: Attachment): QueryRunner | undefined {
  return testRunner && isTestTransactionOpen(testRunner) ? testRunner : undefined
}

/** Keeps a method that saves its own row from enqueueing itself for ever. */
function isRunning(entity: string, key: string, method: string): boolean {
  const job = currentJobOrUndefined()
  return (
    job !== undefined &&
    job.entity === entity &&
    job.method === method &&
    keyText((job.key ?? {}) as JsonObject) === key
  )
}

function attachmentOf(dataSource: DataSource): Attachment {
  const attachment = attachments.get(dataSource)
  if (!attachment)
    throw new NotAttachedError('This data source has no handler: call withBackgrounded(dataSource, { handler }) first.')
  return attachment
}

function dataSourceOf(manager: { dataSource?: DataSource; connection?: DataSource }): DataSource {
  return (manager.dataSource ?? manager.connection) as DataSource // TypeORM 0.3 has the latter only
}

function newEvents(dataSource: DataSource): BackgroundedEvents {
  return new BackgroundedEvents((error, event) => {
    const logger = attachments.get(dataSource)?.options.logger ?? consoleLogger
    logger.error({ err: error, event }, 'a listener of backgroundedEvents threw')
  })
}

/** An inline job's error is the caller's, who decides about it. */
function quietAboutErrors(logger: Logger): Logger {
  const debug: Logger['debug'] = (fields, message) => logger.debug(fields, message)
  return { debug, info: debug, warn: debug, error: debug }
}

const OPTIONS = ['handler', 'defaults', 'configure', 'resolve', 'source', 'logger', 'keepCompleted', 'outbox']

function checkOptions(options: BackgroundedOptions): void {
  const { handler, source, keepCompleted, outbox } = options
  if (typeof handler?.enqueue !== 'function' || typeof handler.capabilities !== 'object') {
    throw new InvalidOptionError(
      'withBackgrounded needs a handler: pass { handler: new DatabaseHandler() }, for example.',
    )
  }
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name))
      throw new InvalidOptionError(`withBackgrounded has no option "${name}"; there are ${OPTIONS.join(', ')}.`)
  }
  if (outbox)
    throw new UnsupportedOptionError(
      'withBackgrounded: the option "outbox" comes with a later version: leave it out for now.',
    )
  if (source !== undefined && !/^[\w.-]{1,100}$/.test(source)) {
    throw new InvalidOptionError(`source is ${JSON.stringify(source)}: give 1 to 100 letters, digits, "_", "." or "-".`)
  }
  if (keepCompleted === undefined) return
  milliseconds(keepCompleted, 'keepCompleted')
  if (!handler.capabilities.honours.keepCompleted) {
    throw new UnsupportedOptionError(`The ${handler.name} handler keeps no completed jobs: leave keepCompleted out.`)
  }
}
