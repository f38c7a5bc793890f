import type { QueryRunner } from 'typeorm'
import type { Dialect } from '../database/dialect'
import type { TransactionRows } from '../handlers/contract/transaction-rows'
import type { JobEnvelope } from '../job/envelope'
import type { HeldJob } from './held-job'
import { depthOf } from '../upstream/typeorm'
import { enqueueErrorOf, PendingRows } from './pending-rows'
import { HandmadeSavepoints, levelAround } from './handmade-savepoints'
import { Interception, type Send } from './query-interception'
import type { Edge } from './transaction-edges'

interface Failure {
  depth: number
  readonly calls: number
  readonly error: unknown
}

export interface TransactionHost {
  readonly dialect: Dialect | undefined
  /** Whether the one connection of a SQLite data source is in a transaction. Undefined where that cannot be told at once. */
  isInTransaction(): boolean | undefined
  /** How jobs are written inside their transaction. Undefined when they wait for its commit. */
  rows(): TransactionRows<unknown> | undefined
  /** TypeORM's runner sends the statements at a transaction's edges through its own `query`. */
  sendsEdges(): boolean
  /** Called when a job could not be written. */
  refused(envelope: JobEnvelope, error: unknown): void
  committed(jobs: readonly HeldJob[], runner: QueryRunner): void
  /** Called when the database has answered a COMMIT with ROLLBACK, because a statement had failed before. */
  rolledBackByCommit(jobs: readonly HeldJob[]): void
  /** Called with jobs of a transaction that the database itself has rolled back before. */
  rolledBackByDatabase(jobs: readonly HeldJob[]): void
  /** Called with jobs that were enqueued during a COMMIT that has succeeded. */
  cameLate(envelopes: readonly JobEnvelope[], runner: QueryRunner): void
}

/**
 * The jobs of one outermost transaction of one query runner, in memory. A store in the same database gets them through this
 * runner, together, at the next edge: a savepoint, its release or the commit. Any other store gets them after the commit.
 */
export class OpenTransaction {
  private jobs: HeldJob[] = []
  /** Of `jobs`. */
  private rowEvents = new Set<string | undefined>()
  private failures: Failure[] = []
  private calls = 0
  private readonly pending: PendingRows<unknown> | undefined
  private readonly savepoints = new HandmadeSavepoints()
  private interception: Interception | undefined
  private isEndedByTypeOrm = false
  private isCommitting = false
  private late: JobEnvelope[] = []
  private hasEnded = false
  /** How many calls came before the last failed statement, when the database may have rolled the transaction back with it. */
  private callsInDoubt = 0
  /** When it was rolled back as a whole, by `performance.now()`. */
  rolledBackAt: number | undefined
  /** Set when Postgres answered the COMMIT of a broken transaction with ROLLBACK. */
  wasRolledBackByCommit = false

  constructor(
    readonly runner: QueryRunner,
    private readonly host: TransactionHost,
  ) {
    const rows = host.rows()
    const send: Send = (sql) => (this.interception as Interception).send(sql)
    const exclusively = (work: () => Promise<void>) => (this.interception as Interception).exclusively(work)
    this.pending = rows && new PendingRows(runner, send, rows, (job, error) => this.refuse(job, error), exclusively)
  }

  get isOpen(): boolean {
    return !this.hasEnded && this.runner.isTransactionActive && !this.runner.isReleased
  }

  /**
   * @returns a promise when there is something to wait for
   * @throws an error of the job itself, which also keeps the transaction from committing
   */
  add(envelope: JobEnvelope, rowEvent?: string): Promise<void> | undefined {
    if (this.isCommitting && this.pending) {
      this.late.push(envelope)
      return undefined
    }
    this.interception ??= this.intercept()
    const fate = this.pending ? 'pending' : 'deferred'
    const depth = depthOf(this.runner)
    const job: HeldJob = { depth, number: this.calls++, envelope, rowEvent, state: fate }
    this.jobs.push(job)
    this.rowEvents.add(rowEvent)
    try {
      return this.pending?.add(job)
    } catch (error) {
      this.refuse(job, error)
      throw error
    }
  }

  hasRowEvent(rowEvent: string): boolean {
    return this.rowEvents.has(rowEvent)
  }

  /** The transaction must not commit: a job that belongs to it could not be made. */
  fail(error: unknown, depth = depthOf(this.runner)): void {
    this.failures.push({ depth, calls: this.calls, error })
  }

  /** Called before a level of the transaction commits. Rejects with EnqueueError when one of its jobs could not be made. */
  beforeCommit(): Promise<void> | undefined {
    this.isEndedByTypeOrm = depthOf(this.runner) === 1
    if (this.pending && !this.host.sendsEdges())
      return this.writeLevel().then(() => this.checkFailures(depthOf(this.runner)))
    try {
      this.checkFailures(depthOf(this.runner))
      return undefined
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  beforeSavepoint(): Promise<void> | undefined {
    return this.host.sendsEdges() ? undefined : this.writeLevel()
  }

  /** A savepoint was released, so its jobs belong to the level around it. */
  merge(): void {
    const depth = depthOf(this.runner)
    for (const each of [...this.jobs, ...this.failures]) each.depth = Math.min(each.depth, depth)
  }

  /** A savepoint was rolled back, and its jobs with it. */
  rollBack(): void {
    const depth = depthOf(this.runner)
    this.forget((each) => each.depth > depth)
  }

  /** The transaction has ended. Returns the jobs that it held. */
  end(): readonly HeldJob[] {
    this.hasEnded = true
    this.interception?.stop()
    return this.takeJobs()
  }

  /** Reports what has become of these jobs after the COMMIT. */
  report(jobs: readonly HeldJob[]): void {
    if (this.wasRolledBackByCommit) this.host.rolledBackByCommit(jobs)
    else this.host.committed(jobs, this.runner)
  }

  private takeJobs(): readonly HeldJob[] {
    const { jobs } = this
    this.jobs = []
    this.rowEvents.clear()
    return jobs
  }

  private intercept(): Interception {
    const { dialect } = this.host
    return new Interception(this.runner, {
      dialect,
      atEdge: (edge, sql, send) => this.atEdge(edge, sql, send),
      failed: (error) => this.statementFailed(error),
    })
  }

  private atEdge(edge: Edge, sql: string, send: Send): Promise<unknown> {
    if (this.hasEnded) return send(sql)
    if (this.callsInDoubt > 0) return this.dropIfRolledBack().then(() => this.afterDoubts(edge, sql, send))
    return this.afterDoubts(edge, sql, send)
  }

  private afterDoubts(edge: Edge, sql: string, send: Send): Promise<unknown> {
    switch (edge.kind) {
      case 'commit':
        return this.commit(sql, send)
      case 'rollback':
        return this.rollBackAll(sql, send)
      case 'unclear':
        return this.passUnclear(sql, send)
      case 'savepoint':
        return this.setSavepoint(edge.name, sql, send)
      case 'release':
        return this.release(edge.name, sql, send)
      case 'rollbackTo':
        return this.rollBackTo(edge.name, sql, send)
    }
  }

  /** The rows are written before, so that the database does with them what it does with the application's. */
  private async passUnclear(sql: string, send: Send): Promise<unknown> {
    if (this.pending?.has(() => true)) await this.pending.write(() => true)
    this.savepoints.set(undefined, this.calls)
    return send(sql)
  }

  private async rollBackAll(sql: string, send: Send): Promise<unknown> {
    const answer = await this.rollBackRows(() => true, sql, send)
    this.forget(() => true)
    return answer
  }

  private async setSavepoint(name: string, sql: string, send: Send): Promise<unknown> {
    const around = levelAround(name)
    await this.writeLevel(around)
    const { calls } = this
    const answer = await send(sql)
    if (around === undefined) this.savepoints.set(name, calls)
    return answer
  }

  private async release(name: string, sql: string, send: Send): Promise<unknown> {
    const around = levelAround(name)
    const level = around === undefined ? depthOf(this.runner) : around + 1
    await this.writeLevel(level)
    this.checkFailures(level)
    const answer = await send(sql)
    if (around === undefined) this.savepoints.release(name)
    return answer
  }

  private async commit(sql: string, send: Send): Promise<unknown> {
    this.isCommitting = true
    try {
      const answer = await (this.pending ? this.pending.commit(sql, () => this.checkFailures(1)) : send(sql))
      if (!this.isEndedByTypeOrm) this.report(this.takeJobs()) // the statement was written by hand, so there will be no event
      if (this.late.length > 0 && !this.wasRolledBackByCommit) this.host.cameLate(this.late, this.runner)
      return answer
    } finally {
      this.isCommitting = this.isEndedByTypeOrm = false
      this.late = []
    }
  }

  /** TypeORM emits events when its own savepoints are rolled back. */
  private async rollBackTo(name: string, sql: string, send: Send): Promise<unknown> {
    const around = levelAround(name)
    if (around !== undefined) return this.rollBackRows((job) => job.depth > around, sql, send)
    const calls = this.savepoints.callsBefore(name)
    const answer = await this.rollBackRows((job) => job.number >= calls, sql, send)
    this.forget((each) => ('number' in each ? each.number >= calls : each.calls > calls))
    return answer
  }

  private rollBackRows(belongs: (job: HeldJob) => boolean, sql: string, send: Send): Promise<unknown> {
    return this.pending ? this.pending.rollBack(belongs, () => send(sql)) : send(sql)
  }

  /** Writes the rows before a savepoint, so that no group of rows crosses its edge. */
  private async writeLevel(level = depthOf(this.runner)): Promise<void> {
    const belongs = (job: HeldJob) => job.depth === level
    if (this.pending?.has(belongs)) await this.pending.write(belongs)
  }

  /**
   * On MariaDB, MySQL and SQLite, some errors roll the whole transaction back, and TypeORM does not hear of that. Calls that
   * came before such an error are rolled back with everything else.
   */
  private statementFailed(error: unknown): void {
    if (this.hasEnded || this.calls === 0) return
    const { dialect } = this.host
    if (dialect === 'mariadb') {
      if (isDeadlock(error)) this.wasRolledBackByDatabase(this.calls)
      else this.callsInDoubt = this.calls
    } else if (this.host.isInTransaction() === false) this.wasRolledBackByDatabase(this.calls)
  }

  private async dropIfRolledBack(): Promise<void> {
    const calls = this.callsInDoubt
    this.callsInDoubt = 0
    const isInside = await (this.interception as Interception).send('SELECT @@in_transaction AS inside').then(
      (rows) => Number((rows as [{ inside: unknown }])[0].inside) === 1,
      () => true, // MySQL does not have the variable
    )
    if (!isInside) this.wasRolledBackByDatabase(calls)
  }

  private wasRolledBackByDatabase(calls: number): void {
    const isGone = (job: HeldJob) => job.number < calls
    const gone = this.jobs.filter(isGone)
    this.pending?.drop(isGone)
    this.forget((each) => ('number' in each ? isGone(each) : each.calls <= calls))
    this.host.rolledBackByDatabase(gone)
  }

  /** @throws EnqueueError when a job of this level could not be stored */
  private checkFailures(level: number): void {
    const failure = this.failures.find((each) => each.depth >= level)
    if (failure) throw enqueueErrorOf(failure.error)
  }

  private forget(isGone: (each: HeldJob | Failure) => boolean): void {
    this.jobs = this.jobs.filter((job) => !isGone(job))
    this.rowEvents = new Set(this.jobs.map(({ rowEvent }) => rowEvent))
    this.failures = this.failures.filter((failure) => !isGone(failure))
  }

  private refuse(job: HeldJob, error: unknown): void {
    job.state = 'refused'
    this.jobs = this.jobs.filter((each) => each !== job)
    this.rowEvents.delete(job.rowEvent)
    this.fail(error, job.depth)
    this.host.refused(job.envelope, error)
  }
}

function isDeadlock(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'ER_LOCK_DEADLOCK'
}
