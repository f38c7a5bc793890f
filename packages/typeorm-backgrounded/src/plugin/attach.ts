import { InstanceChecker, type DataSource, type QueryRunner } from 'typeorm'
import { trackManagers } from '../dispatch/manager-tracking'
import { giveUpPoolRunners } from '../database/pool-runner'
import { isTestTransactionOpen } from '../dispatch/test-transactions'
import { HandlerInUseError, InvalidOptionError, NotAttachedError } from '../errors'
import { newEvents, type BackgroundedEvents } from '../events'
import { addEntities, entitiesOf, removeEntities } from './tables'
import type { EntityTargets, Handler } from '../handlers/contract/handler'
import { checkBoolean, checkKnown, namesOf } from '../job/known-options'
import { consoleLogger, type Logger } from '../logger'
import { shared } from '../metadata/registry'
import { checkPluginOptions, type BackgroundedOptions } from './options'
import { guarded } from '../reporting/guarded-logger'
import { Runtime } from './runtime'
import type { WorkCounts, Worker, WorkerOptions } from '../worker/worker'

/** The plugin on one data source, for as long as the data source lives. */
interface Attachment {
  options: BackgroundedOptions
  readonly events: BackgroundedEvents
  runtime?: Runtime
  /** Earlier runtimes that were replaced and are not closed yet. */
  readonly retired: Set<Runtime>
  /** Set by `insideTestTransaction`. */
  testRunner?: QueryRunner
}

const attachments = shared('attachments', () => new WeakMap<DataSource, Attachment>())
const handlersInUse = shared('handlers-in-use', () => new WeakMap<Handler, DataSource>())

/**
 * Attaches the plugin to a data source, and returns the data source. Call it before `initialize()`, because it then also
 * adds the entities that the handler needs; on an initialised data source it attaches at once. Attaching again replaces
 * the options and closes the old handler. `dataSource.destroy()` delivers the calls that are on their way and closes the
 * handler.
 *
 * @throws InvalidOptionError, UnsupportedOptionError, HandlerInUseError; decorators that cannot work are refused when the
 * data source is initialised
 */
export function withBackgrounded<D extends DataSource>(dataSource: D, options: BackgroundedOptions): D {
  if (!InstanceChecker.isDataSource(dataSource))
    throw new InvalidOptionError(
      'withBackgrounded needs a DataSource: pass new DataSource(…) itself, or await its promise first.',
    )
  checkPluginOptions(options)
  const attachment = attachments.get(dataSource) ?? newAttachment(dataSource, options)
  const before = attachment.options
  const isNewHandler = options.handler !== before.handler
  reserveHandler(dataSource, options.handler)
  attachment.options = options
  try {
    if (dataSource.isInitialized) replaceRuntime(dataSource, attachment)
  } catch (error) {
    attachment.options = before
    if (isNewHandler || !attachment.runtime) handlersInUse.delete(options.handler)
    throw error
  }
  if (isNewHandler) {
    handlersInUse.delete(before.handler)
    removeEntities(dataSource, before)
  }
  if (!dataSource.isInitialized) addEntities(dataSource, options)
  return dataSource
}

/** The typed events of a data source; they survive `destroy()` and `initialize()`. */
export function backgroundedEvents(dataSource: DataSource): BackgroundedEvents {
  return attachmentOf(dataSource).events
}

/**
 * Creates a worker in this process. It works between `run()` and `stop()`.
 * @throws InvalidOptionError, NotAttachedError
 */
export function createWorker(dataSource: DataSource, options: WorkerOptions = {}): Worker {
  return runtimeOf(dataSource).createWorker(options)
}

export interface DrainOptions extends Pick<WorkerOptions, 'queues' | 'concurrency'> {
  /** Whether to throw the error of the first job that failed for good, default false. */
  readonly throwOnFailure?: boolean
}

const DRAIN_OPTIONS = namesOf<DrainOptions>({ queues: true, concurrency: true, throwOnFailure: true })

/**
 * Runs every job that is due, and returns how many ended in which way. A job that is released is not claimed again in the
 * same drain. A handler that keeps no jobs has nothing to run.
 */
export async function drain(dataSource: DataSource, options: DrainOptions = {}): Promise<WorkCounts> {
  checkKnown(options, DRAIN_OPTIONS, 'drain')
  checkBoolean(options.throwOnFailure, 'throwOnFailure')
  const { throwOnFailure = false, ...workerOptions } = options
  const runtime = runtimeOf(dataSource)
  await runtime.dispatcher.settled()
  const worker = await runtime.drain(workerOptions)
  if (throwOnFailure && worker.firstFailure) throw worker.firstFailure.error
  return worker.counts
}

/**
 * Resolves when every deferred call whose transaction has committed is delivered to the handler, or stays in the outbox
 * for a worker to relay because the handler cannot be reached. With `SynchronousHandler`, it resolves when those calls
 * have been performed.
 * @throws the first error of a delivery since `settled` was last called
 */
export async function settled(dataSource: DataSource): Promise<void> {
  await runtimeOf(dataSource).dispatcher.settled()
}

/** The plugin's parts on an initialised data source. */
export function runtimeOf(dataSource: DataSource): Runtime {
  const { runtime } = attachmentOf(dataSource)
  if (!runtime) throw new NotAttachedError('This data source is not initialised: await dataSource.initialize() first.')
  return runtime
}

/** Sets the logger unless the application has chosen one itself. The CLI calls it before `initialize()`. */
export function withDefaultLogger(dataSource: DataSource, logger: Logger): void {
  const attachment = attachmentOf(dataSource)
  attachment.options = { logger, ...attachment.options }
}

/** The plugin's options and the entities of the tables it needs. The CLI calls it before `initialize()`. */
export function pluginOf(dataSource: DataSource): { options: BackgroundedOptions; entities: EntityTargets } {
  const { options } = attachmentOf(dataSource)
  return { options, entities: entitiesOf(dataSource, options) }
}

/** Sets the runner of `insideTestTransaction`. */
export function useTestRunner(dataSource: DataSource, runner: QueryRunner): void {
  attachmentOf(dataSource).testRunner = runner
}

function newAttachment(dataSource: DataSource, options: BackgroundedOptions): Attachment {
  const attachment: Attachment = { options, events: eventsOf(dataSource), retired: new Set() }
  attachments.set(dataSource, attachment)
  followLifecycle(dataSource, attachment)
  followTransactions(dataSource, attachment)
  return attachment
}

/** Replaces the runtime once the new one was made. The old one closes when its open transactions have ended. */
function replaceRuntime(dataSource: DataSource, attachment: Attachment): void {
  const { runtime: old, retired } = attachment
  attachment.runtime = newRuntime(dataSource, attachment)
  if (!old) return
  retired.add(old)
  void old.retire().then(() => retired.delete(old))
}

function followLifecycle(dataSource: DataSource, attachment: Attachment): void {
  const initialize = dataSource.initialize.bind(dataSource)
  const runMigrations = dataSource.runMigrations.bind(dataSource)
  const destroy = dataSource.destroy.bind(dataSource)
  override(dataSource, 'initialize', async () => {
    reserveHandler(dataSource, attachment.options.handler)
    addEntities(dataSource, attachment.options)
    await initialize()
    try {
      attachment.runtime ??= newRuntime(dataSource, attachment)
      await attachment.runtime.start()
    } catch (error) {
      await dataSource.destroy()
      throw error
    }
    return dataSource
  })
  // With `migrationsRun`, initialize() runs the migrations, which may make background calls.
  override(dataSource, 'runMigrations', async (...args) => {
    if (dataSource.isInitialized) attachment.runtime ??= newRuntime(dataSource, attachment)
    return runMigrations(...args)
  })
  override(dataSource, 'destroy', async () => {
    const { runtime, retired } = attachment
    attachment.runtime = undefined
    await runtime?.close()
    await Promise.all([...retired].map((old) => old.abandon()))
    handlersInUse.delete(attachment.options.handler)
    await giveUpPoolRunners(dataSource)
    await destroy()
  })
}

function followTransactions(dataSource: DataSource, attachment: Attachment): void {
  trackManagers(dataSource, {
    openScope: (runner) => {
      const transaction = attachment.runtime?.dispatcher.transactions.current(runner)
      return transaction && { dataSource, transaction }
    },
    duringInsert: (rows, runner, work) => attachment.runtime?.afterCommit.duringInsert(rows, runner, work) ?? work(),
    touched: (entities, touch, runner) => attachment.runtime?.dispatcher.touched(entities, touch, runner),
  })
}

/** Replaces a method on one object, as a property that is not enumerable. */
function override<T extends object, K extends keyof T>(target: T, name: K, value: T[K]): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false })
}

function reserveHandler(dataSource: DataSource, handler: Handler): void {
  const user = handlersInUse.get(handler)
  if (user && user !== dataSource) throw new HandlerInUseError(handler.name)
  handlersInUse.set(handler, dataSource)
}

function newRuntime(dataSource: DataSource, attachment: Attachment): Runtime {
  const { options, events, runtime } = attachment
  return new Runtime(dataSource, options, events, () => openTestRunner(attachment), runtime)
}

function openTestRunner({ testRunner }: Attachment): QueryRunner | undefined {
  return testRunner && isTestTransactionOpen(testRunner) ? testRunner : undefined
}

function attachmentOf(dataSource: DataSource): Attachment {
  const attachment = attachments.get(dataSource)
  if (!attachment)
    throw new NotAttachedError('This data source has no handler: call withBackgrounded(dataSource, { handler }) first.')
  return attachment
}

function eventsOf(dataSource: DataSource): BackgroundedEvents {
  return newEvents((error, event) => {
    const logger = guarded(attachments.get(dataSource)?.options.logger ?? consoleLogger)
    logger.error({ err: error, event }, 'a listener of backgroundedEvents threw')
  })
}
