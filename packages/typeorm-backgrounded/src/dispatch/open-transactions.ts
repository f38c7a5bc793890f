import type { QueryRunner } from 'typeorm'
import { withResolver } from '../concurrency/sleep'
import { removeFrom } from '../concurrency/remove-from'
import type { HeldJob } from './held-job'
import { checkConnected, isLost } from './ended-transaction'
import { depthOf } from '../upstream/typeorm'
import { OpenTransaction, type TransactionHost } from './open-transaction'
import { SeenEntities } from './seen-entities'
import { forgetTestTransaction, isInside } from './test-transactions'

export interface OpenTransactionsHost extends TransactionHost {
  /** All code of the process is in one transaction, if in any: on SQLite. */
  readonly sharesRunner: boolean
  /** The transaction was lost with its connection, or nobody has ended it before its runner was released. */
  abandoned(jobs: readonly HeldJob[]): void
}

/** A runner between BEGIN and its end. */
class Begun {
  readonly seen: SeenEntities<Begun>
  /** Made for the first that asks. */
  transaction?: OpenTransaction
  hasEnded = false

  constructor(
    readonly runner: QueryRunner,
    seenIn: WeakMap<object, Begun>,
  ) {
    this.seen = new SeenEntities<Begun>(this, seenIn)
  }
}

/** The open transactions of one data source that have, or may get, jobs. The subscriber reports every edge. */
export class OpenTransactions {
  /**
   * As many as the pool has connections. An array: every transaction comes and goes here, and V8's maps and
   * sets rehash for an element that does.
   */
  private readonly begun: Begun[] = []
  private last: Begun | undefined
  /** In which transaction an entity was seen that is not among the last of an open one. */
  private readonly seenIn = new WeakMap<object, Begun>()
  private hasLostOne = false
  /** The runners whose last transaction was rolled back, and when, by `performance.now()`. */
  private readonly rolledBackRunners = new WeakMap<QueryRunner, number>()
  private readonly ends = new Map<QueryRunner, { promise: Promise<void>; resolve: () => void }>()

  constructor(private readonly host: OpenTransactionsHost) {}

  /** The transaction that this runner is in, if it is in one. */
  current(runner: QueryRunner): OpenTransaction | undefined {
    if (runner.isReleased || !isInside(runner)) return undefined
    const begun = this.find(runner) ?? this.begin(runner) // it began before the plugin was attached
    return (begun.transaction ??= new OpenTransaction(runner, this.host))
  }

  /**
   * The same.
   * @throws EnqueueError when its connection was lost
   */
  following(runner: QueryRunner): OpenTransaction | undefined {
    checkConnected(runner)
    return this.current(runner)
  }

  /** Called for every row that is loaded or saved in a transaction: one comparison, for all but the first. */
  remember(entity: object, runner: QueryRunner): void {
    if (this.last?.runner !== runner) this.last = this.find(runner)
    this.last?.seen.add(entity)
    if (this.hasLostOne) this.seenIn.delete(entity)
  }

  /** A manager wrote this entity in the transaction of `runner`, or in none, so a call on it belongs to no other one. */
  moveTo(runner: QueryRunner | undefined, entity: object): void {
    for (const begun of this.begun) if (begun.runner !== runner) begun.seen.remove(entity)
    this.seenIn.delete(entity)
    if (runner) this.remember(entity, runner)
  }

  /** The open transaction of a manager with this runner, or without one: on SQLite all of a process share one. */
  openRunner(runner: QueryRunner | undefined): QueryRunner | undefined {
    const begun = runner ? this.find(runner) : this.host.sharesRunner ? this.begun.at(-1) : undefined
    return begun && !isLost(begun.runner) ? begun.runner : undefined
  }

  /**
   * The open transaction in which this very entity was loaded or saved.
   * @throws EnqueueError when its connection was lost
   */
  holding(entity: object): OpenTransaction | undefined {
    const begun = this.seeing(entity)
    return begun && this.following(begun.runner)
  }

  /** Whether there is such a transaction, even if its connection was lost. */
  isHolding(entity: object): boolean {
    return this.seeing(entity) !== undefined
  }

  /** When the last transaction of a runner was rolled back, by `performance.now()`, unless it was committed. */
  rolledBackAt(runner: QueryRunner): number | undefined {
    return this.rolledBackRunners.get(runner)
  }

  /** Resolves when the runner is in no transaction. On SQLite all code of a process shares one runner. */
  async free(runner: QueryRunner): Promise<void> {
    while (!runner.isReleased && isInside(runner)) {
      let end = this.ends.get(runner)
      if (!end) this.ends.set(runner, (end = withResolver()))
      await end.promise
    }
  }

  /** Resolves when no transaction is open in which there were calls. */
  async idle(): Promise<void> {
    for (const { runner, transaction } of [...this.begun]) if (transaction) await this.free(runner)
  }

  /** Any transaction of the data source may be open. */
  get mayBeOpen(): boolean {
    return this.begun.length > 0
  }

  // The hooks before an edge run for every transaction: they return nothing to await where there is nothing.

  beforeStart(runner: QueryRunner): Promise<void> | undefined {
    if (depthOf(runner) > 0) return this.find(runner)?.transaction?.beforeSavepoint()
    for (const each of [...this.begun]) {
      if (isLost(each.runner)) this.host.abandoned(this.lose(each))
      else if (each.runner === runner || !each.runner.isTransactionActive) this.host.abandoned(this.forget(each.runner))
    }
    forgetTestTransaction(runner)
    this.begin(runner)
    return undefined
  }

  beforeCommit(runner: QueryRunner): Promise<void> | undefined {
    return this.find(runner)?.transaction?.beforeCommit()
  }

  committed(runner: QueryRunner): void {
    const transaction = this.find(runner)?.transaction
    if (isInside(runner)) return transaction?.merge()
    const jobs = this.forget(runner)
    this.rolledBackRunners.delete(runner)
    transaction?.report(jobs)
  }

  rolledBack(runner: QueryRunner): void {
    const transaction = this.find(runner)?.transaction
    if (isInside(runner)) return transaction?.rollBack()
    const now = performance.now()
    if (transaction) transaction.rolledBackAt = now
    this.rolledBackRunners.set(runner, now)
    this.forget(runner)
  }

  /** Called with the database's answer to the COMMIT of a transaction. */
  commitAnswered(runner: QueryRunner, command: string | undefined): void {
    const transaction = this.find(runner)?.transaction
    if (transaction) transaction.wasRolledBackByCommit = command === 'ROLLBACK'
  }

  private begin(runner: QueryRunner): Begun {
    const begun = new Begun(runner, this.seenIn)
    this.begun.push(begun)
    return begun
  }

  private seeing(entity: object): Begun | undefined {
    const begun = this.begun.findLast(({ seen }) => seen.hasRecent(entity)) ?? this.seenIn.get(entity)
    return begun?.hasEnded ? undefined : begun
  }

  private find(runner: QueryRunner): Begun | undefined {
    for (const begun of this.begun) if (begun.runner === runner) return begun
    return undefined
  }

  /**
   * The connection was lost. The entities that were seen in the transaction are remembered, because calls on them must
   * fail.
   */
  private lose(begun: Begun): readonly HeldJob[] {
    const jobs = this.forget(begun.runner)
    begun.hasEnded = false
    begun.seen.holdWeakly()
    this.hasLostOne = true
    return jobs
  }

  /** Returns the jobs that the transaction held. */
  private forget(runner: QueryRunner): readonly HeldJob[] {
    const begun = this.find(runner)
    if (begun) {
      removeFrom(this.begun, begun)
      begun.hasEnded = true
    }
    this.last = undefined
    if (this.ends.size > 0) {
      this.ends.get(runner)?.resolve()
      this.ends.delete(runner)
    }
    return begun?.transaction?.end() ?? []
  }
}
