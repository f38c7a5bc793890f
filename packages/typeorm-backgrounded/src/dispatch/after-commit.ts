import type { DataSource, QueryRunner } from 'typeorm'
import { Batcher } from '../concurrency/batcher'
import { InvalidOptionError, isBackgroundedError } from '../errors'
import type { EnqueueResult } from '../handlers/contract/handler'
import type { JobEnvelope } from '../job/envelope'
import { linkOf, metaOf, type EventChain } from '../job/event-chain'
import { keyText } from '../job/key-codec'
import type { MarkedMethod } from '../metadata/method-table'
import type { Class } from '../metadata/registry'
import { attempt } from '../reporting/text-of'
import type { Dispatcher } from './dispatcher'
import { classOf } from './envelope-maker'
import { rowAfter } from './row-state'
import type { RowChange } from './subscriber'

/**
 * Enqueues `@AfterCommitBackgrounded` methods when their rows change. Called from TypeORM's after hooks, where
 * an error would corrupt the caller's transaction: it never throws. What goes wrong inside a transaction makes
 * its commit fail instead.
 */
export class AfterCommit {
  /** Rows of a plain `insert()`, and whether it is on a connection of the application's own. */
  private readonly plainInserts = new WeakMap<object, { readonly mayBeInHandmade: boolean }>()
  /** Jobs outside of TypeORM's transactions, because an `insert()` of several rows makes several at once. */
  private readonly outside = new WeakMap<QueryRunner, Batcher<OutsideJob, EnqueueResult>>()
  private readonly warned = new Set<string>()
  private readonly hasMethods: boolean

  constructor(
    private readonly dispatcher: Dispatcher,
    /** The chain of events that led to the current code, if that is a job's. */
    private readonly runningChain: () => EventChain,
  ) {
    const methods = dispatcher.host.methods.marked.flatMap((entity) => [...entity.methods.values()])
    this.hasMethods = methods.some(({ afterCommit }) => afterCommit !== undefined)
  }

  /** While `work` runs, these objects are rows of a plain `insert()`, whose keys can be trusted. */
  async duringInsert<T>(rows: unknown, runner: QueryRunner | undefined, work: () => Promise<T>): Promise<T> {
    if (!this.hasMethods) return work()
    const objects = (Array.isArray(rows) ? rows : [rows]).filter(
      (row): row is object => typeof row === 'object' && row !== null,
    )
    const mayBeInHandmade = runner !== undefined || this.dispatcher.sharesRunner
    for (const row of objects) this.plainInserts.set(row, { mayBeInHandmade })
    try {
      return await work()
    } finally {
      for (const row of objects) this.plainInserts.delete(row)
    }
  }

  touched(written: RowChange): Promise<void> | void {
    if (!this.hasMethods) return
    const { methods: table, dataSource } = this.dispatcher.host
    const change = asOwnClass(written, dataSource)
    const given = change === written ? table.ofClass(classOf(change.entity)) : undefined
    const entity = given ?? table.ofClass(change.metadata.target as Class)
    const methods = [...(entity?.methods.values() ?? [])].filter(({ afterCommit }) => afterCommit?.on.has(change.type))
    if (!entity || methods.length === 0) return
    if (!change.hasKey && !this.plainInserts.has(change.entity)) return this.warnOnce(change, entity.name)
    return this.enqueueAll(change, methods)
  }

  private async enqueueAll(change: RowChange, methods: readonly MarkedMethod[]): Promise<void> {
    for (const method of methods) {
      try {
        await this.enqueue(change, method)
      } catch (error) {
        this.fail(change, method, error)
      }
    }
  }

  private async enqueue(change: RowChange, method: MarkedMethod): Promise<void> {
    if (!isWanted(change, method)) return
    const chain = this.runningChain()
    const envelope = this.dispatcher.envelopes.makeFor(method, keyed(change), [], undefined, metaOf(chain))
    const { source, entity, key = {} } = envelope
    if (chain.includes(linkOf(source, entity, key, method.name))) return

    const { queryRunner } = change
    const transaction = this.dispatcher.transactions.following(queryRunner)
    if (!transaction) return this.enqueueOutside(envelope, change)
    const rowEvent = `${entity} ${keyText(key)} ${method.name}`
    if (!transaction.hasRowEvent(rowEvent)) await this.dispatcher.submitInside(transaction, envelope, rowEvent)
  }

  /**
   * `insert()` has no transaction of its own, nor has `save(row, { transaction: false })`. There will be no event of a
   * commit, and unless the application has begun a transaction with a statement, the row is there already.
   */
  private async enqueueOutside(envelope: JobEnvelope, { entity, queryRunner }: RowChange): Promise<void> {
    // A transaction that TypeORM knows of is a test's own here, in which code counts as outside of any.
    const mayBeInHandmade = !queryRunner.isTransactionActive && (this.plainInserts.get(entity)?.mayBeInHandmade ?? true)
    const result = await this.batcherOf(queryRunner).add({ envelope, mayBeInHandmade })
    if (result.state === 'failed') throw result.error
  }

  private batcherOf(runner: QueryRunner): Batcher<OutsideJob, EnqueueResult> {
    let batcher = this.outside.get(runner)
    if (!batcher) {
      const run = (jobs: readonly OutsideJob[]) =>
        this.dispatcher.submitThrough(
          runner,
          jobs.map(({ envelope }) => envelope),
          jobs.some(({ mayBeInHandmade }) => mayBeInHandmade),
        )
      this.outside.set(runner, (batcher = new Batcher(run)))
    }
    return batcher
  }

  private fail({ queryRunner, entity }: RowChange, method: MarkedMethod, error: unknown): void {
    const { events, logger } = this.dispatcher.host
    const transaction = this.dispatcher.transactions.current(queryRunner)
    const job = { id: '', entity: method.entity.name, method: method.name, queue: method.options.queue }
    events.emit('enqueueFailed', { job, error })
    if (transaction) transaction.fail(error)
    const hint = isBackgroundedError(error, 'MISSING_KEY') ? ': the write gave the row no key' : ''
    logger.error(
      { err: error, job, row: attempt(() => entity.constructor.name, undefined) },
      `an @AfterCommitBackgrounded job could not be enqueued${hint}`,
    )
  }

  private warnOnce({ type }: RowChange, entity: string): void {
    if (this.warned.has(`${entity} ${type}`)) return
    this.warned.add(`${entity} ${type}`)
    this.dispatcher.host.logger.warn(
      { entity, event: type },
      `a write to ${entity} named no row (update(), softDelete(), restore(), upsert() or a query builder), so its @AfterCommitBackgrounded methods ` +
        `were not enqueued: use save(), softRemove(), recover() or insert(), or call the generated method yourself`,
    )
  }
}

interface OutsideJob {
  readonly envelope: JobEnvelope
  readonly mayBeInHandmade: boolean
}

/**
 * With single table inheritance, a row that is saved as one of a parent class stays one of its own class, as which TypeORM
 * has loaded it before the change.
 */
function asOwnClass(change: RowChange, dataSource: DataSource): RowChange {
  const { databaseEntity, metadata } = change
  const own = databaseEntity && classOf(databaseEntity)
  if (!own || own === metadata.target || !dataSource.hasMetadata(own)) return change
  const ownMetadata = dataSource.getMetadata(own)
  return ownMetadata.inheritanceTree.includes(metadata.target as Class) ? { ...change, metadata: ownMetadata } : change
}

/** @throws InvalidOptionError when `when` does not answer at once */
function isWanted(change: RowChange, { entity, property, afterCommit }: MarkedMethod): boolean {
  if (!afterCommit?.when) return true
  const { type, queryRunner, databaseEntity } = change
  const updatedColumns = change.updatedColumns?.map(({ propertyPath }) => propertyPath) ?? []
  const { manager } = queryRunner
  const answer: unknown = afterCommit.when(rowAfter(change), {
    type,
    manager,
    queryRunner,
    databaseEntity,
    updatedColumns,
  })
  if (!isThenable(answer)) return Boolean(answer)
  Promise.resolve(answer).catch(() => {}) // the answer is not awaited
  throw new InvalidOptionError(
    `The "when" of ${entity.name}.${property} returned a promise, which would count as true: return true or false at once, ` +
      `and look up in the method itself what takes time.`,
  )
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** A child that a cascade updates may lack the part of its key that is its parent's; the row that TypeORM loaded has it. */
function keyed({ entity, databaseEntity, metadata }: RowChange): object {
  return databaseEntity && !metadata.hasAllPrimaryKeys(entity) ? databaseEntity : entity
}
