import type { QueryRunner } from 'typeorm'
import type { TransactionRows } from '../handlers/contract/transaction-rows'
import type { JobEnvelope } from '../job/envelope'
import type { HeldJob } from './held-job'
import { depthOf } from '../upstream/typeorm'
import { enqueueErrorOf, PendingRows } from './pending-rows'
import { interceptEdges, type Interception, type Send } from './query-interception'
import { HandmadeSavepoints, levelAround, type Edge } from './savepoints'

interface Failure {
  depth: number
  readonly calls: number
  readonly error: unknown
}

export interface TransactionHost {
  /** How jobs are written inside their transaction. Undefined when they wait for its commit. */
  rows(): TransactionRows<unknown> | undefined
  /** TypeORM's runner sends the statements at a transaction's edges through its own `query`. */
  sendsEdges(): boolean
  /** Called when a job could not be written. */
  refused(envelope: JobEnvelope, error: unknown): void
  committed(jobs: readonly HeldJob[], runner: QueryRunner): void
  /** Called when the database has answered a COMMIT with ROLLBACK, because a statement had failed before. */
  rolledBackByCommit(jobs: readonly HeldJob[]): void
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
  /** Set when Postgres answered the COMMIT of a broken transaction with ROLLBACK. */
  wasRolledBackByCommit = false

  constructor(
    readonly runner: QueryRunner,
    private readonly host: TransactionHost,
  ) {
    const rows = host.rows()
    const send: Send = (sql) => (this.interception as Interception).send(sql)
    this.pending = rows && new PendingRows(runner, send, rows, (job, error) => this.refuse(job, error))
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
    this.interception ??= interceptEdges(this.runner, (edge, sql, send) => this.atEdge(edge, sql, send))
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

  private atEdge(edge: Edge, sql: string, send: Send): Promise<unknown> {
    if (this.hasEnded) return send(sql)
    switch (edge.kind) {
      case 'commit':
        return this.commit(sql, send)
      case 'rollback':
        return this.rollBackAll(sql, send)
      case 'definition':
        return this.define(sql, send)
      case 'savepoint':
        return this.setSavepoint(edge.name, sql, send)
      case 'release':
        return this.release(edge.name, sql, send)
      case 'rollbackTo':
        return this.rollBackTo(edge.name, sql, send)
    }
  }

  private async define(sql: string, send: Send): Promise<unknown> {
    await this.pending?.write(() => true)
    return send(sql)
  }

  private async rollBackAll(sql: string, send: Send): Promise<unknown> {
    await this.pending?.drop(() => true)
    const answer = await send(sql)
    this.forget(() => true)
    return answer
  }

  private async setSavepoint(name: string, sql: string, send: Send): Promise<unknown> {
    const around = levelAround(name)
    await this.writeLevel(around)
    if (around === undefined) this.savepoints.set(name, this.calls)
    return send(sql)
  }

  private async release(name: string, sql: string, send: Send): Promise<unknown> {
    const around = levelAround(name)
    const level = around === undefined ? depthOf(this.runner) : around + 1
    await this.writeLevel(level)
    this.checkFailures(level)
    if (around === undefined) this.savepoints.release(name)
    return send(sql)
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
    if (around !== undefined) {
      await this.pending?.drop((job) => job.depth > around)
      return send(sql)
    }
    const calls = this.savepoints.callsBefore(name)
    await this.pending?.drop((job) => job.number >= calls)
    const answer = await send(sql)
    this.forget((each) => ('number' in each ? each.number >= calls : each.calls > calls))
    return answer
  }

  /** Writes the rows before a savepoint, so that no group of rows crosses its edge. */
  private async writeLevel(level = depthOf(this.runner)): Promise<void> {
    await this.pending?.write((job) => job.depth === level)
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

/**
 * Whether the runner was in a transaction when its connection was lost. The transaction is rolled back, without an
 * event.
 */
export function isLost(runner: QueryRunner): boolean {
  return runner.isReleased && runner.isTransactionActive
}
