import type { BuiltInConsumeOptions, BuiltInHost } from '../../contract/built-in'
import { setImmediate as othersTurn } from 'node:timers/promises'
import { isBusyError } from '../../../database/errors'
import { sleep } from '../../../concurrency/sleep'
import { removeFrom } from '../../../concurrency/remove-from'
import type { Outcome } from '../../contract/outcome'
import { InFlightJob } from '../../consumption/in-flight-job'
import { ProgressWrites, type Progress } from '../../consumption/progress-writes'
import type { AcknowledgedAndClaimed, FinishedJob, JobStore } from '../../consumption/store-consumption'
import type { SqliteConnection, StatementRunner } from '../../../database/sqlite/connection'
import type { ClaimedRow, InFlightRow } from '../claimed-row'
import { PRUNED_AT_ONCE } from '../pruned-at-once'
import { isRefusal, plain } from '../refusals'
import { rowOutcomeOf, type RowOutcome } from '../row-outcome'
import { asciiJson } from '../../../job/ascii-json'
import { Checkpoints } from './checkpoints'
import { DueJobs, type SuspectsWanted } from './due-jobs'
import type { SqliteStatements } from './statements'
import { isWorkerAlive, WorkerLock } from './worker-lock'

const LOOK_AROUND_EVERY = 5_000
const LOOK_FOR_COMMITS_EVERY = 20

/** The jobs of a SQLite database, as one worker sees them. */
export class SqliteStore implements JobStore<InFlightRow> {
  readonly connections = 1
  private readonly held: InFlightRow[] = []
  private readonly due: DueJobs
  private readonly checkpoints: Checkpoints
  private readonly progress: ProgressWrites<ClaimedRow>
  private lock: WorkerLock | undefined
  private worker = 'in-memory'
  private leases = 0
  private lookedAround = -Infinity
  private seenVersion: unknown
  private nextDue = Infinity
  private looks: NodeJS.Timeout | undefined

  constructor(
    private readonly host: BuiltInHost,
    private readonly connection: SqliteConnection,
    private readonly sql: SqliteStatements,
    private readonly options: BuiltInConsumeOptions,
  ) {
    this.due = new DueJobs(sql, host.source, options.queues)
    this.checkpoints = new Checkpoints(connection)
    this.progress = new ProgressWrites((values) => this.storeProgress(values), host.logger)
  }

  async acknowledgeAndClaim(
    finished: readonly FinishedJob<InFlightRow>[],
    slots: number,
  ): Promise<AcknowledgedAndClaimed<InFlightRow>> {
    await this.prepare()
    await othersTurn() // nothing below waits for anything: without this, timers and signals would wait for the backlog
    const dead = await this.lookAround()
    await this.progress.beforeTheEnd(finished, this.host.keepCompleted > 0)
    const write = (isEachAlone: boolean) =>
      this.connection.write((run) => {
        this.seenVersion = this.connection.dataVersion()
        const refused = new Map<InFlightRow, unknown>()
        const leaseLost = this.settle(run, finished, isEachAlone, refused)
        const taken = dead.flatMap((worker) => this.takeOver(run, worker))
        const isEnding = (job: InFlightRow) => finished.some((each) => each.job === job)
        const suspects = this.held.filter((job) => job.claim.suspect > 0 && !job.died && !isEnding(job))
        const { rows, nextDue } =
          slots > 0 ? this.take(run, slots, this.suspectsWanted(suspects)) : { rows: [], nextDue: Infinity }
        return { rows, taken, leaseLost, refused, nextDue }
      })
    const { rows, taken, leaseLost, refused, nextDue } = await write(false).catch((error: unknown) => {
      if (error instanceof NotAllRemoved) return write(true)
      throw error
    })
    this.checkpoints.committed()
    for (const { job } of finished) if (!refused.has(job)) removeFrom(this.held, job)
    this.nextDue = nextDue
    const claimed = [...taken.map((row) => this.hold(row, true)), ...rows.map((row) => this.hold(row, false))]
    return { leaseLost, refused, claimed, isAll: rows.length < slots }
  }

  async wait(signal: AbortSignal): Promise<void> {
    const until = Math.min(Date.now() + this.options.pollInterval, this.nextDue)
    while (!signal.aborted && Date.now() < until && this.connection.dataVersion() === this.seenVersion) {
      await sleep(Math.min(LOOK_FOR_COMMITS_EVERY, until - Date.now()), signal)
    }
  }

  get hasNews(): boolean {
    return Date.now() - this.lookedAround >= LOOK_AROUND_EVERY
  }

  onNews(changed: () => void): void {
    this.looks = setInterval(changed, LOOK_AROUND_EVERY)
  }

  close(): void {
    this.progress.close()
    clearInterval(this.looks)
    this.lock?.release()
    this.lock = undefined
    this.connection.close()
  }

  private async prepare(): Promise<void> {
    if (this.lock) return
    const { Database, file } = this.connection
    if (file === undefined) return
    await this.connection.prepareForWork()
    if (!this.options.once) await this.connection.read((run) => run(this.sql.columnCheck).all())
    this.lock = WorkerLock.acquire(Database, file)
    this.worker = this.lock.worker
  }

  /** Every few seconds: who has died, and does this worker still have what it holds? Returns the dead. */
  private async lookAround(): Promise<(string | null)[]> {
    if (!this.hasNews) return []
    this.lookedAround = Date.now()
    if (this.lock && !this.lock.isHeld()) await this.becomeAnotherWorker()
    const { workers, held } = await this.connection.read((run) => ({
      workers: run(this.sql.workers).all(this.host.source) as { worker: string | null }[],
      held: run(this.sql.held).all(this.host.source, this.worker) as { id: string; lease: number }[],
    }))
    this.noticeLostLeases(new Set(held.map(({ id, lease }) => `${id}/${lease}`)))
    await this.prune()
    return workers.map(({ worker }) => worker).filter((worker) => worker !== this.worker && !this.isAlive(worker))
  }

  private isAlive(worker: string | null): boolean {
    const { Database, file } = this.connection
    return worker !== null && file !== undefined && isWorkerAlive(Database, file, worker)
  }

  /** Somebody removed the lock file: others take this worker for dead, so it must take itself for dead too. */
  private async becomeAnotherWorker(): Promise<void> {
    this.host.logger.error(
      { worker: this.worker },
      'the lock file of this worker is gone: it gives up the jobs it holds',
    )
    for (const job of this.held) job.lose()
    this.lock?.release()
    this.lock = undefined
    await this.prepare()
  }

  private noticeLostLeases(leases: ReadonlySet<string>): void {
    for (const job of this.held) if (!leases.has(`${job.id}/${job.claim.lease}`)) job.lose()
  }

  private async prune(): Promise<void> {
    if (this.host.keepCompleted === 0) return
    const before = Date.now() - this.host.keepCompleted
    try {
      for (;;) {
        const { changes } = await this.connection.tryWrite((run) => run(this.sql.prune).run(this.host.source, before))
        if (changes < PRUNED_AT_ONCE) return
        await othersTurn()
      }
    } catch (error) {
      if (!isBusyError(error)) throw error // the next round will do
    }
  }

  private takeOver(run: StatementRunner, deadWorker: string | null): ClaimedRow[] {
    return run(this.sql.takeOver).all(this.worker, ++this.leases, this.host.source, deadWorker) as ClaimedRow[]
  }

  private suspectsWanted(running: readonly InFlightRow[]): SuspectsWanted {
    const most = Math.max(1, Math.floor((this.options.concurrency ?? 1) / 2))
    const isOneAlone = running.some(({ claim }) => claim.suspect > 1)
    return { together: isOneAlone ? 0 : Math.max(0, most - running.length), alone: running.length === 0 }
  }

  private take(run: StatementRunner, slots: number, suspects: SuspectsWanted): { rows: ClaimedRow[]; nextDue: number } {
    const lease = ++this.leases
    const { due, nextDue } = this.due.find(run, slots, lease, suspects)
    if (due.length > 0) run(this.sql.claim).run(this.worker, lease, JSON.stringify(due.map(({ rowid }) => rowid)))
    return { rows: due.map(({ row }) => row), nextDue }
  }

  /** Returns the jobs that are not this worker's any more; those that the database does not let end are `refused`. */
  private settle(
    run: StatementRunner,
    finished: readonly FinishedJob<InFlightRow>[],
    isEachAlone: boolean,
    refused: Map<InFlightRow, unknown>,
  ): Set<InFlightRow> {
    const leaseLost = new Set<InFlightRow>()
    const completed: InFlightRow[] = []
    const each = (job: InFlightRow, change: () => { changes: number }) => {
      try {
        if (change().changes === 0) leaseLost.add(job)
      } catch (error) {
        if (!isRefusal(error)) throw error
        refused.set(job, error)
      }
    }
    for (const { job, outcome } of finished) {
      if (outcome.state === 'completed' && this.host.keepCompleted === 0) completed.push(job)
      else each(job, () => this.applyInWords(run, job, outcome))
    }
    for (const jobs of byLease(completed)) {
      if (isEachAlone || jobs.length === 1) for (const job of jobs) each(job, () => this.remove(run, job))
      else this.removeAll(run, jobs)
    }
    return leaseLost
  }

  private remove(run: StatementRunner, { id, claim: { lease } }: InFlightRow): { changes: number } {
    return run(this.sql.remove).run(id, this.worker, lease)
  }

  /** @throws NotAllRemoved, for the number of rows or the error says that there is one that stays, and not which */
  private removeAll(run: StatementRunner, jobs: readonly InFlightRow[]): void {
    const ids = asciiJson(jobs.map(({ id }) => id))
    try {
      const { changes } = run(this.sql.removeAll).run(ids, this.worker, jobs[0]?.claim.lease)
      if (changes < jobs.length) throw new NotAllRemoved()
    } catch (error) {
      throw isRefusal(error) ? new NotAllRemoved() : error
    }
  }

  /** In plain words where the database does not take the error's own. */
  private applyInWords(run: StatementRunner, job: InFlightRow, outcome: Outcome): { changes: number } {
    const settlement = rowOutcomeOf(outcome, job)
    try {
      return this.apply(run, job, settlement)
    } catch (error) {
      if (!isRefusal(error)) throw error
      return this.apply(run, job, plain(settlement))
    }
  }

  private apply(run: StatementRunner, job: InFlightRow, settlement: RowOutcome): { changes: number } {
    const { state, error, suspect, giveBack, releasedSince, delay } = settlement
    const now = Date.now()
    const runAt = delay === null ? null : now + delay
    const finishedAt = delay === null ? now : null
    const { id, lease } = job.claim
    const values = [state, error, suspect, giveBack, releasedSince, runAt, finishedAt]
    return run(this.sql.settle).run(...values, id, this.worker, lease)
  }

  private hold(row: ClaimedRow, died: boolean): InFlightRow {
    const job = new InFlightJob(row, row, died, (claim, value) => this.progress.set(claim, value))
    this.held.push(job)
    return job
  }

  private storeProgress(values: readonly Progress<ClaimedRow>[]): Promise<void> {
    return this.connection.write((run) => {
      for (const { claim, progress } of values) run(this.sql.progress).run(progress, claim.id, this.worker, claim.lease)
    }, LOOK_AROUND_EVERY)
  }
}

/** Takes the transaction back. */
class NotAllRemoved extends Error {}

/** Nearly always all are of one claim. */
function byLease(jobs: readonly InFlightRow[]): InFlightRow[][] {
  const claims: InFlightRow[][] = []
  for (const job of jobs) {
    const claimed = claims.find((jobs) => jobs[0]?.claim.lease === job.claim.lease)
    if (claimed) claimed.push(job)
    else claims.push([job])
  }
  return claims
}
