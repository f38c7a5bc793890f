import type { QueryRunner } from 'typeorm'
import { Batcher } from '../batcher'
import { EnqueueError } from '../errors'
import type { EnqueueResult } from '../handlers/handler'
import type { JobEnvelope } from '../job/envelope'

/** A call that waits for the commit, or one that could not be written. */
interface Entry {
  /** Of the savepoint it was made in; 1 is the transaction itself. */
  depth: number
  readonly envelope: JobEnvelope
  readonly isWritten: boolean
  /** Keeps several events on one row to one job. */
  readonly rowEvent?: string
}

interface Failure {
  depth: number
  readonly error: unknown
}

type Write = (jobs: readonly JobEnvelope[], runner: QueryRunner) => Promise<readonly EnqueueResult[]>

/**
 * The jobs of one outermost transaction of one query runner. A handler in the same database writes them at
 * once, through this runner; for any other they are held here until the commit.
 */
export class OpenTransaction {
  private entries: Entry[] = []
  private failures: Failure[] = []
  private writes?: Batcher<JobEnvelope, EnqueueResult>
  private hasEnded = false
  /** Set when Postgres answered the COMMIT of a broken transaction with ROLLBACK. */
  wasRolledBackByCommit = false

  constructor(
    readonly runner: QueryRunner,
    private readonly write?: Write,
  ) {}

  get isOpen(): boolean {
    return !this.hasEnded && this.runner.isTransactionActive && !this.runner.isReleased
  }

  async add(envelope: JobEnvelope, rowEvent?: string): Promise<void> {
    const depth = depthOf(this.runner)
    if (!this.write) {
      this.entries.push({ depth, envelope, rowEvent, isWritten: false })
      return
    }
    const entry = { depth, envelope, rowEvent, isWritten: true }
    this.entries.push(entry)
    try {
      const result = await this.writer.add(envelope)
      if (result.state === 'failed') throw result.error
    } catch (error) {
      this.entries = this.entries.filter((each) => each !== entry)
      this.fail(error, entry.depth)
      throw error
    }
  }

  hasRowEvent(rowEvent: string): boolean {
    return this.entries.some((entry) => entry.rowEvent === rowEvent)
  }

  /** The transaction must not commit: a job that belongs to it could not be made. */
  fail(error: unknown, depth = depthOf(this.runner)): void {
    this.failures.push({ depth, error })
  }

  /** Settles when every call so far is written, so that no write crosses a savepoint's edge. */
  written(): Promise<void> | undefined {
    return this.writes?.idle()
  }

  /** Rejects with EnqueueError when a job of the level that is about to commit could not be written. */
  checkWritten(): Promise<void> | undefined {
    if (!this.writes && this.failures.length === 0) return undefined
    return this.refuseFailures()
  }

  private async refuseFailures(): Promise<void> {
    await this.written()
    const depth = depthOf(this.runner)
    const failure = this.failures.find((each) => each.depth >= depth)
    if (!failure) return
    throw new EnqueueError('A job of this transaction could not be stored, so the transaction is rolled back.', {
      cause: failure.error,
    })
  }

  /** A savepoint was released: what was made in it belongs to the level around it. */
  merge(): void {
    const depth = depthOf(this.runner)
    for (const each of [...this.entries, ...this.failures]) each.depth = Math.min(each.depth, depth)
  }

  /** A savepoint was rolled back: what was made in it goes with it. */
  rollBack(): void {
    const depth = depthOf(this.runner)
    this.entries = this.entries.filter((entry) => entry.depth <= depth)
    this.failures = this.failures.filter((failure) => failure.depth <= depth)
  }

  /** Over, one way or the other; returns the jobs that it held. */
  end(): readonly { envelope: JobEnvelope; isWritten: boolean }[] {
    this.hasEnded = true
    const { entries } = this
    this.entries = []
    return entries
  }

  private get writer(): Batcher<JobEnvelope, EnqueueResult> {
    const { write, runner } = this
    return (this.writes ??= new Batcher((jobs) => (write as Write)(jobs, runner)))
  }
}

/** How many levels deep the runner is: 0 outside, 1 in a transaction, 2 in its first savepoint. */
export function depthOf(runner: QueryRunner): number {
  // Protected, and there in every 0.3 and 1.x; the public flag does not tell a savepoint from its transaction.
  return (runner as unknown as { transactionDepth: number }).transactionDepth
}
