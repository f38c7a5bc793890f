import type { QueryRunner } from 'typeorm'
import { EnqueueError } from '../errors'
import type { Piggyback } from '../handlers/handler'
import type { JobEnvelope } from '../job/envelope'
import { Writes, type Write } from './writes'

/** The job of a call in a transaction. */
export interface HeldJob {
  readonly envelope: JobEnvelope
  /** It waits for the commit, is written in the transaction, or could not be: of one that came late, that is known later. */
  readonly fate: 'held' | 'written' | 'refused'
}

/** A call that waits for the commit, or one that could not be written. */
interface Entry extends HeldJob {
  /** Of the savepoint it was made in; 1 is the transaction itself. */
  depth: number
  fate: HeldJob['fate']
  /** Keeps several events on one row to one job. */
  readonly rowEvent?: string
}

interface Failure {
  depth: number
  readonly error: unknown
}

/** How the jobs of a transaction are written inside it; neither: they wait for its commit. */
export interface TransactionWriting {
  /** With the transaction's own statements; nothing: not by this handler, or not on this connection. */
  piggyback(runner: QueryRunner): Piggyback | undefined
  /** By statements of their own. */
  readonly write?: Write
  /** A job could not be written. */
  refused(envelope: JobEnvelope, error: unknown): void
}

/**
 * The jobs of one outermost transaction of one query runner. A handler in the same database writes them within it,
 * through this runner; for any other they are held here until the commit.
 */
export class OpenTransaction {
  private entries: Entry[] = []
  private failures: Failure[] = []
  private piggyback?: Piggyback
  private writes?: Writes
  private hasEnded = false
  /** Set when Postgres answered the COMMIT of a broken transaction with ROLLBACK. */
  wasRolledBackByCommit = false

  constructor(
    readonly runner: QueryRunner,
    private readonly writing: TransactionWriting,
  ) {}

  get isOpen(): boolean {
    return !this.hasEnded && this.runner.isTransactionActive && !this.runner.isReleased
  }

  /**
   * @returns something to wait for, if there is
   * @throws what keeps the job from being written, at once or later
   */
  add(envelope: JobEnvelope, rowEvent?: string): Promise<void> | undefined {
    const writer = this.writer()
    const entry: Entry = { depth: depthOf(this.runner), envelope, rowEvent, fate: writer ? 'written' : 'held' }
    this.entries.push(entry)
    const refuse = (error: unknown) => this.refuse(entry, error)
    try {
      return writer?.add(envelope, refuse)?.catch((error: unknown) => {
        refuse(error)
        throw error
      })
    } catch (error) {
      refuse(error)
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
    return this.piggyback?.send() ?? this.writes?.idle()
  }

  /** Rejects with EnqueueError when a job of the level that is about to commit could not be written. */
  checkWritten(): Promise<void> | undefined {
    const goesWithCommit = this.piggyback && depthOf(this.runner) === 1
    const written = goesWithCommit ? undefined : this.written()
    return written ? written.then(() => this.checkFailures()) : this.checkFailures()
  }

  /** The same, with what was known before. */
  checkFailures(): Promise<never> | undefined {
    const depth = depthOf(this.runner)
    const failure = this.failures.find((each) => each.depth >= depth)
    if (!failure) return undefined
    const message = 'A job of this transaction could not be stored, so the transaction is rolled back.'
    return Promise.reject(new EnqueueError(message, { cause: failure.error }))
  }

  /** Before a rollback: what was called in this level is not to be written any more, or has been. */
  dropped(): Promise<void> | undefined {
    this.piggyback?.drop()
    return this.writes?.idle()
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
  end(): readonly HeldJob[] {
    this.hasEnded = true
    const { entries } = this
    this.entries = []
    return entries
  }

  private writer(): Piggyback | Writes | undefined {
    const { write } = this.writing
    this.piggyback ??= this.writing.piggyback(this.runner)
    if (this.piggyback) return this.piggyback
    return write && (this.writes ??= new Writes(write, this.runner))
  }

  private refuse(entry: Entry, error: unknown): void {
    entry.fate = 'refused'
    this.entries = this.entries.filter((each) => each !== entry)
    this.fail(error, entry.depth)
    this.writing.refused(entry.envelope, error)
  }
}

/** It was in a transaction when its connection was lost: that is rolled back, and will never be told of its end. */
export function isLost(runner: QueryRunner): boolean {
  return runner.isReleased && runner.isTransactionActive
}

/** How many levels deep the runner is: 0 outside, 1 in a transaction, 2 in its first savepoint. */
export function depthOf(runner: QueryRunner): number {
  // Protected, and there in every 0.3 and 1.x; the public flag does not tell a savepoint from its transaction.
  return (runner as unknown as { transactionDepth: number }).transactionDepth
}
