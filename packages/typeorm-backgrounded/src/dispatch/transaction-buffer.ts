import type { QueryRunner } from 'typeorm'
import type { EnqueueResult } from '../handlers/handler'
import type { JobEnvelope } from '../job/envelope'
import { shared } from '../metadata/registry'
import { depthOf, OpenTransaction } from './open-transaction'

/** Which transaction an entity was last loaded or saved in. */
const rememberedTransactions = shared('entity-transactions', () => new WeakMap<object, OpenTransaction>())

/** How deep a test's own transaction is, around everything that the code under test does. */
const testDepths = shared('test-transactions', () => new WeakMap<QueryRunner, number>())

export interface BufferHost {
  /** Given for handlers that write inside the caller's transaction. */
  readonly write?: (jobs: readonly JobEnvelope[], runner: QueryRunner) => Promise<readonly EnqueueResult[]>
  committed(jobs: readonly { envelope: JobEnvelope; isWritten: boolean }[], runner: QueryRunner): void
  /** The database said COMMIT and meant ROLLBACK. */
  rolledBackByCommit(jobs: readonly { envelope: JobEnvelope }[]): void
}

/** The open transactions of one data source that have, or may get, jobs. Told of every edge by the subscriber. */
export class TransactionBuffer {
  private readonly open = new WeakMap<QueryRunner, OpenTransaction>()
  private readonly begun = new Set<QueryRunner>()
  private readonly ends = new Map<QueryRunner, { promise: Promise<void>; resolve: () => void }>()

  constructor(private readonly host: BufferHost) {}

  /** The transaction that this runner is in, if it is in one. */
  current(runner: QueryRunner): OpenTransaction | undefined {
    if (!runner.isTransactionActive || runner.isReleased || depthOf(runner) <= baseDepth(runner)) return undefined
    let transaction = this.open.get(runner)
    if (!transaction) this.open.set(runner, (transaction = new OpenTransaction(runner, this.host.write)))
    return transaction
  }

  remember(entity: object, runner: QueryRunner): void {
    const transaction = this.current(runner)
    if (transaction) rememberedTransactions.set(entity, transaction)
  }

  /** Resolves when the runner is in no transaction. On SQLite all code of a process shares one runner. */
  async free(runner: QueryRunner): Promise<void> {
    while (!runner.isReleased && runner.isTransactionActive && depthOf(runner) > baseDepth(runner)) {
      let end = this.ends.get(runner)
      if (!end) this.ends.set(runner, (end = withResolver()))
      await end.promise
    }
  }

  // The hooks before an edge run for every transaction: they return nothing to await where there is nothing.

  beforeStart(runner: QueryRunner): Promise<void> | undefined {
    const known = this.open.get(runner)
    if (depthOf(runner) > 0) return known?.written() // a savepoint begins
    if (known) this.forget(runner) // it ended without telling: this is another transaction
    for (const each of this.begun) if (!each.isTransactionActive || each.isReleased) this.begun.delete(each)
    this.begun.add(runner)
    return undefined
  }

  /** Any transaction of the data source may be open. */
  get mayBeOpen(): boolean {
    return this.begun.size > 0
  }

  beforeCommit(runner: QueryRunner): Promise<void> | undefined {
    return this.open.get(runner)?.checkWritten()
  }

  beforeRollback(runner: QueryRunner): Promise<void> | undefined {
    return this.open.get(runner)?.written()
  }

  committed(runner: QueryRunner): void {
    const transaction = this.open.get(runner)
    if (isInside(runner)) return transaction?.merge()
    this.announceEnd(runner)
    if (!transaction) return
    this.open.delete(runner)
    const jobs = transaction.end()
    if (transaction.wasRolledBackByCommit) this.host.rolledBackByCommit(jobs)
    else this.host.committed(jobs, runner)
  }

  rolledBack(runner: QueryRunner): void {
    if (isInside(runner)) return this.open.get(runner)?.rollBack()
    this.forget(runner)
  }

  commitAnsweredRollback(runner: QueryRunner): void {
    const transaction = this.open.get(runner)
    if (transaction) transaction.wasRolledBackByCommit = true
  }

  private forget(runner: QueryRunner): void {
    this.open.get(runner)?.end()
    this.open.delete(runner)
    this.announceEnd(runner)
  }

  private announceEnd(runner: QueryRunner): void {
    this.begun.delete(runner)
    if (this.ends.size === 0) return
    this.ends.get(runner)?.resolve()
    this.ends.delete(runner)
  }
}

/** The transaction that the entity was loaded or saved in, if it is still open. */
export function rememberedTransaction(entity: object): OpenTransaction | undefined {
  const transaction = rememberedTransactions.get(entity)
  return transaction?.isOpen ? transaction : undefined
}

/**
 * Declares the transaction that `runner` is in now to be the test's own, to be rolled back at its end: code
 * under test counts as outside any transaction, and its savepoints count as transactions.
 */
export function declareTestTransaction(runner: QueryRunner): void {
  testDepths.set(runner, depthOf(runner))
}

/** The test's own transaction is still open on this runner. */
export function isTestTransactionOpen(runner: QueryRunner): boolean {
  return testDepths.has(runner) && runner.isTransactionActive && !runner.isReleased
}

function baseDepth(runner: QueryRunner): number {
  return testDepths.get(runner) ?? 0
}

/** After an edge: there is still a transaction around. */
function isInside(runner: QueryRunner): boolean {
  return runner.isTransactionActive && depthOf(runner) > baseDepth(runner)
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}
