import type { JobEnvelope } from '../../../job/envelope'
import { withResolver } from '../../../pause'
import type { PiggybackClient, Statement } from '../../../postgres-piggyback/client'
import { piggyback, sendLoad, unload, type Load } from '../../../postgres-piggyback/piggyback'
import type { Piggyback } from '../../handler'
import { isRow, newRow, RowGroup, type NewRow } from '../job-row'

/** How rows become a statement. */
export interface RowWriting {
  statementOf(rows: readonly NewRow[]): Statement
  /** @returns the error as a caller is to see it */
  failed(error: unknown, statement: Statement): unknown
}

/** The jobs of one transaction: they go with its next statement. */
export class TransactionRows implements Piggyback {
  private last: Group | undefined

  constructor(
    private readonly client: PiggybackClient,
    private readonly writing: RowWriting,
  ) {}

  add(job: JobEnvelope, refused: (error: unknown) => void): Promise<void> | undefined {
    const row = newRow(job)
    if (!isRow(row)) throw row
    if (this.last?.take(row, refused)) return undefined
    const sent = this.send() // it is full, or gone already
    this.last = new Group(this.writing)
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

/** The jobs of one statement. */
class Group implements Load {
  private readonly group = new RowGroup()
  private readonly refusals: ((error: unknown) => void)[] = []
  private sent: Statement | undefined
  private hasArrived = false
  private whenArrived: ReturnType<typeof withResolver> | undefined

  constructor(private readonly writing: RowWriting) {}

  /** False: it goes with the next one. */
  take(row: NewRow, refused: (error: unknown) => void): boolean {
    if (!this.isWaiting || !this.group.take(row)) return false
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
    return (this.sent ??= this.writing.statementOf(this.group.rows))
  }

  arrived(error?: unknown): void {
    this.hasArrived = true
    if (error !== undefined) {
      const failure = this.writing.failed(error, this.statement())
      for (const refused of this.refusals) refused(failure)
    }
    this.whenArrived?.resolve()
  }

  lost(): void {
    this.arrived()
  }
}
