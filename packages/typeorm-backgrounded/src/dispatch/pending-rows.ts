import type { QueryRunner } from 'typeorm'
import { isAbortedTransactionError, isConflictError, isConnectionError, isServerAnswer } from '../database/errors'
import { EnqueueError } from '../errors'
import type { HeldCall, TransactionRows } from '../handlers/contract/transaction-rows'
import { RowGroup } from '../database/row-group'
import type { HeldJob } from './held-job'
import { asOwnStatements, type Send } from './query-interception'

/** Keeps a job that the database refuses from breaking the transaction of those who call nothing. */
const SAVEPOINT = 'backgrounded_jobs'

/** The jobs of one transaction whose rows are still to be written. They are only in memory until then. */
export class PendingRows<Row> {
  private waiting: Pending<Row>[] = []
  private bytes = 0
  private writing: Promise<void> | undefined
  /** A statement of the transaction has failed, so that the database takes no rows before the next edge. */
  private isBroken = false
  /** Rows are written between two statements, because there are so many. */
  private overflow: Promise<void> | undefined

  constructor(
    private readonly runner: QueryRunner,
    /** Sends a statement without passing it to the interception of the transaction's edges. */
    private readonly send: Send,
    private readonly rows: TransactionRows<Row>,
    private readonly refuse: (job: HeldJob, error: unknown) => void,
    /** Runs work while no statement of the application is on its way. */
    private readonly exclusively: (work: () => Promise<void>) => Promise<void>,
  ) {}

  /**
   * @returns a promise when there are so many rows that some are written now
   * @throws an error of the job itself
   */
  add(job: HeldJob): Promise<void> | undefined {
    const row = this.rows.rowOf(job.envelope)
    if (row instanceof Error) throw row
    const bytes = this.rows.sizeOf(row)
    this.waiting.push({ job, row, bytes, since: performance.now() })
    this.bytes += bytes
    if (this.isBroken) return undefined
    return RowGroup.isFull(this.waiting.length, this.bytes)
      ? (this.overflow ??= this.writeOverflow(job.depth))
      : undefined
  }

  /** Writes the rows of a level. Resolves when it is done, even when the database refuses some. */
  write(belongs: (job: HeldJob) => boolean): Promise<void> {
    this.isBroken = false
    const written = this.arrived().then(() => this.writeAll(belongs))
    const done = () => {
      if (this.writing === written) this.writing = undefined
    }
    this.writing = written
    written.then(done, done)
    return written
  }

  /** Whether there are rows of a level to be written. */
  has(belongs: (job: HeldJob) => boolean): boolean {
    return this.writing !== undefined || this.waiting.some(({ job }) => belongs(job))
  }

  /**
   * Sends a statement that rolls a level back. The rows of the level are dropped, unless the statement fails.
   */
  async rollBack(belongs: (job: HeldJob) => boolean, send: () => Promise<unknown>): Promise<unknown> {
    if (this.writing) await this.arrived()
    this.isBroken = false
    const dropped = this.waiting.filter(({ job }) => belongs(job))
    this.keep(({ job }) => !belongs(job))
    try {
      return await send()
    } catch (error) {
      this.waiting = [...dropped, ...this.waiting].sort((a, b) => a.job.number - b.job.number)
      this.keep(() => true)
      throw error
    }
  }

  /** Drops rows of a transaction that the database has rolled back by itself. */
  drop(isGone: (job: HeldJob) => boolean): void {
    this.keep(({ job }) => !isGone(job))
  }

  /**
   * Sends the COMMIT with the rows that are still to be written. They go in one text, without an additional round trip,
   * when the database accepts several statements in one text.
   * @param check throws when a job was refused before
   * @throws EnqueueError when a job is refused; the server's or driver's own error when the commit itself fails
   */
  async commit(sql: string, check: () => void): Promise<unknown> {
    if (this.writing) await this.arrived()
    let group = this.take(() => true)
    while (this.waiting.length > 0) {
      if (!(await this.writeGroup(group))) return this.send(sql)
      check()
      group = this.take(() => true)
    }
    const statement = this.statementOf(group)
    if (statement === undefined) {
      await this.writeGroup(group)
      check()
      return this.send(sql)
    }
    check()
    try {
      await this.send(`${statement}; ${sql}`)
    } catch (error) {
      // The transaction was broken before, so the application gets the database's answer to its COMMIT.
      if (isAbortedTransactionError(error)) return this.send(sql)
      throw await this.whyNotCommitted(error, group, sql)
    }
    for (const { job } of group) job.state = 'written'
    return [] // as TypeORM answers a COMMIT
  }

  private async writeOverflow(depth: number): Promise<void> {
    try {
      await this.exclusively(() => this.write((job) => job.depth === depth))
    } finally {
      this.overflow = undefined
    }
  }

  /** Resolves when writes under way have ended, also when they were refused. */
  private async arrived(): Promise<void> {
    await this.writing?.catch(() => {})
  }

  private async writeAll(belongs: (job: HeldJob) => boolean): Promise<void> {
    for (let group = this.take(belongs); group.length > 0; group = this.take(belongs)) {
      if (!(await this.writeGroup(group))) return
    }
  }

  /** Returns false when the transaction is broken already, so that its next statement fails with the reason. */
  private async writeGroup(group: readonly Pending<Row>[]): Promise<boolean> {
    if (group.length === 0) return true
    const statement = this.statementOf(group)
    if (statement === undefined) {
      await this.writeByHandler(group)
      return true
    }
    try {
      await this.send(`SAVEPOINT ${SAVEPOINT}; ${statement}; RELEASE SAVEPOINT ${SAVEPOINT}`)
      for (const { job } of group) job.state = 'written'
      return true
    } catch (error) {
      if (isAbortedTransactionError(error)) {
        this.waiting = [...group, ...this.waiting]
        this.isBroken = true
        return false
      }
      if (isConflictError(error)) throw error // the conflict ends the whole transaction, and the application retries by its code
      await this.send(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`).catch(() => {})
      this.refuseAll(group, error)
      return true
    }
  }

  private async writeByHandler(group: readonly Pending<Row>[]): Promise<void> {
    try {
      const results = await asOwnStatements(() => this.rows.write(group, this.runner))
      group.forEach(({ job }, index) => {
        const result = results[index]
        if (result?.state === 'failed') this.refuse(job, result.error)
        else job.state = 'written'
      })
    } catch (error) {
      if (isConflictError(error) || isConnectionError(error)) throw error // it ends the transaction, as it would without a call
      this.refuseAll(group, error)
    }
  }

  /** Undefined when the database or its client accepts only one statement at a time. */
  private statementOf(group: readonly Pending<Row>[]): string | undefined {
    return group.length > 0 ? this.rows.statement?.(group) : undefined
  }

  /** Whether the rows or the COMMIT has failed: the transaction is still open only when the rows have. */
  private async whyNotCommitted(error: unknown, group: readonly Pending<Row>[], sql: string): Promise<unknown> {
    const isOurs = isServerAnswer(error) && !isConflictError(error) && (await isBroken(this.send))
    if (!isOurs) return Object.assign(error as Error, 'query' in (error as Error) && { query: sql })
    this.refuseAll(group, error)
    return enqueueErrorOf(this.rows.withAdvice(error))
  }

  private refuseAll(group: readonly Pending<Row>[], error: unknown): void {
    const reason = this.rows.withAdvice(error)
    for (const { job } of group) this.refuse(job, reason)
  }

  /** As many as one statement may hold. */
  private take(belongs: (job: HeldJob) => boolean): Pending<Row>[] {
    const group = new RowGroup<Pending<Row>>(({ bytes }) => bytes)
    let isFull = false
    this.keep((pending) => {
      if (isFull || !belongs(pending.job)) return true
      isFull = !group.take(pending)
      return isFull
    })
    return group.rows
  }

  private keep(isKept: (pending: Pending<Row>) => boolean): void {
    this.waiting = this.waiting.filter(isKept)
    this.bytes = this.waiting.reduce((sum, { bytes }) => sum + bytes, 0)
  }
}

interface Pending<Row> extends HeldCall<Row> {
  readonly job: HeldJob
  readonly bytes: number
}

/** Whether a statement of the transaction has failed, and the transaction has not ended. */
async function isBroken(send: Send): Promise<boolean> {
  try {
    await send('SELECT 1')
    return false
  } catch (error) {
    return isAbortedTransactionError(error)
  }
}

export function enqueueErrorOf(cause: unknown): EnqueueError {
  return new EnqueueError('A job of this transaction could not be stored, so the transaction is rolled back.', {
    cause,
  })
}
