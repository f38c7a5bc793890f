import type { Logger, QueryRunner } from 'typeorm'
import type { Piggyback } from '../handlers/handler'
import type { JobEnvelope } from '../job/envelope'
import { withResolver } from '../pause'
import { RowGroup } from '../row-group'
import type { PiggybackClient, Statement } from './client'
import { piggyback, sendLoad, unload, type Load } from './piggyback'

export interface Call<Row> {
  readonly row: Row
  /** When it was made, by `performance.now()`. */
  readonly since: number
}

/** How the jobs of a transaction become statements. */
export interface RowWriting<Row> {
  /** Or what is wrong with the job. */
  rowOf(job: JobEnvelope): Row | Error
  /** Bytes of a row's texts. */
  sizeOf(row: Row): number
  /** Asked for when it leaves: a delay counts from the call. */
  statementOf(calls: readonly Call<Row>[]): Statement
  /** @returns an error of the database as a caller is to see it */
  explained(error: unknown): unknown
}

/** The jobs of one transaction: they go with its next statement. */
export class TransactionRows<Row extends object> implements Piggyback {
  private last: Group<Row> | undefined

  private constructor(
    private readonly client: PiggybackClient,
    private readonly writing: RowWriting<Row>,
    private readonly log: Log,
  ) {}

  /**
   * Nothing: this runner has no connection yet.
   * @param logger TypeORM's, which sees the statements
   */
  static of<Row extends object>(
    transaction: QueryRunner,
    logger: Logger,
    writing: RowWriting<Row>,
  ): TransactionRows<Row> | undefined {
    const { databaseConnection: client } = transaction as QueryRunner & { databaseConnection?: PiggybackClient }
    if (!client) return undefined
    return new TransactionRows(client, writing, ({ text, values }, error) => {
      if (error === undefined) logger.logQuery(text, [...values], transaction)
      else logger.logQueryError(error as Error, text, [...values], transaction)
    })
  }

  add(job: JobEnvelope, refused: (error: unknown) => void): Promise<void> | undefined {
    const row = this.writing.rowOf(job)
    if (row instanceof Error) throw row
    if (this.last?.take(row, refused)) return undefined
    const sent = this.send() // it is full, or gone already
    this.last = new Group(this.writing, this.log)
    this.last.take(row, refused)
    piggyback(this.client, this.last)
    return sent
  }

  send(): Promise<void> | undefined {
    if (this.last?.isWaiting) sendLoad(this.client)
    return this.last?.arrival // a connection answers in order
  }

  drop(): void {
    if (this.last?.isWaiting) unload(this.client)
    this.last = undefined
  }
}

type Log = (statement: Statement, error?: unknown) => void

/** The jobs of one statement. */
class Group<Row extends object> implements Load {
  private readonly group: RowGroup<Call<Row>>
  private readonly refusals: ((error: unknown) => void)[] = []
  private sent: Statement | undefined
  private hasArrived = false
  private whenArrived: ReturnType<typeof withResolver> | undefined

  constructor(
    private readonly writing: RowWriting<Row>,
    private readonly log: Log,
  ) {
    this.group = new RowGroup(({ row }) => writing.sizeOf(row))
  }

  /** False: it goes with the next one. */
  take(row: Row, refused: (error: unknown) => void): boolean {
    if (!this.isWaiting || !this.group.take({ row, since: performance.now() })) return false
    this.refusals.push(refused)
    return true
  }

  get isWaiting(): boolean {
    return this.sent === undefined
  }

  /** Nothing: it has arrived. */
  get arrival(): Promise<void> | undefined {
    return this.hasArrived ? undefined : (this.whenArrived ??= withResolver()).promise
  }

  statement(): Statement {
    if (this.sent) return this.sent
    this.sent = this.writing.statementOf(this.group.rows)
    this.log(this.sent)
    return this.sent
  }

  arrived(error?: unknown): void {
    this.hasArrived = true
    if (error !== undefined) {
      this.log(this.statement(), error)
      const failure = this.writing.explained(error)
      for (const refused of this.refusals) refused(failure)
    }
    this.whenArrived?.resolve()
  }

  lost(): void {
    this.arrived()
  }
}
