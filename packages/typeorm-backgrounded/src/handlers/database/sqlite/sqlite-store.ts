import type { BuiltInConsumeOptions, BuiltInHost } from '../../contract/built-in'
import { setImmediate as othersTurn } from 'node:timers/promises'
import { isBusyError } from '../../../database/errors'
import { sleep } from '../../../concurrency/sleep'
import { removeFrom } from '../../../concurrency/remove-from'
import type { Outcome } from '../../contract/outcome'
import { InFlightJob } from '../../consumption/in-flight-job'
import { ProgressWrites, type Progress } from '../../consumption/progress-writes'
import type { AcknowledgedAndClaimed, FinishedJob, JobStore } from '../../consumption/job-store'
import type { SqliteConnection, StatementRunner } from '../../../database/sqlite/connection'
import type { ClaimedRow, InFlightRow } from '../claimed-row'
import { isError } from '../../../reporting/text-of'
import { PRUNED_AT_ONCE } from '../pruned-at-once'
import { isRefusal, plain } from '../refusals'
import { rowOutcomeOf, type RowOutcome } from '../row-outcome'
import { asciiJson } from '../../../job/ascii-json'
import { Checkpoints } from './checkpoints'
import { DueJobs, type SuspectsWanted } from './due-jobs'
import type { SqliteStatements } from './statements'
import { isWorkerAlive, WorkerLock } from './worker-lock'

const REAP_EVERY = 5_000
const CHECK_COMMITS_EVERY = 20

/** What one worker does with the jobs of a SQLite database. */
export class SqliteStore implements JobStore<InFlightRow> {
  readonly connections = 1
  private readonly inFlight: InFlightRow[] = []
  private readonly due: DueJobs
  private readonly checkpoints: Checkpoints
  private readonly progress: ProgressWrites<ClaimedRow>
  private lock: WorkerLock | undefined
  private worker = 'in-memory'
  private leases = 0
  private lastReap = -Infinity
  private seenVersion: unknown
  private nextDue = Infinity
  private reapTimer: NodeJS.Timeout | undefined

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
    try {
      return await this.applyAndClaim(finished, slots)
    } catch (error) {
      if (!this.connection.isClosed || finished.length > 0) throw error
      return { leaseLost: new Set(), claimed: [], isAll: true } // the worker ends, and leaves nothing behind
    }
  }

  private async applyAndClaim(
    finished: readonly FinishedJob<InFlightRow>[],
    slots: number,
  ): Promise<AcknowledgedAndClaimed<InFlightRow>> {
    await this.prepare()
    await othersTurn() // nothing below yields, so without this, timers and signals would wait for the whole backlog
    const dead = await this.findDeadWorkers()
    await this.progress.beforeTheEnd(finished, this.host.keepCompleted > 0)
    const write = (isEachAlone: boolean) =>
      this.connection.write((run) => {
        this.seenVersion = this.connection.dataVersion()
        const refused = new Map<InFlightRow, unknown>()
        const leaseLost = this.applyOutcomes(run, finished, isEachAlone, refused)
        const taken = dead.flatMap((worker) => this.takeOver(run, worker))
        const isEnding = (job: InFlightRow) => finished.some((each) => each.job === job)
        const suspects = this.inFlight.filter((job) => job.claim.suspect > 0 && !job.died && !isEnding(job))
        const { rows, nextDue } =
          slots > 0 ? this.claim(run, slots, this.suspectsWanted(suspects)) : { rows: [], nextDue: Infinity }
        return { rows, taken, leaseLost, refused, nextDue }
      })
    const { rows, taken, leaseLost, refused, nextDue } = await write(false).catch((error: unknown) => {
      if (isError(error) && error instanceof NotAllRemoved) return write(true)
      throw error
    })
    this.checkpoints.committed()
    for (const { job } of finished) if (!refused.has(job)) removeFrom(this.inFlight, job)
    this.nextDue = nextDue
    const claimed = [...taken.map((row) => this.add(row, true)), ...rows.map((row) => this.add(row, false))]
    return { leaseLost, refused, claimed, isAll: rows.length < slots }
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (this.connection.isClosed) return sleep(this.options.pollInterval, signal)
    const until = Math.min(Date.now() + this.options.pollInterval, this.nextDue)
    while (!signal.aborted && Date.now() < until && this.connection.dataVersion() === this.seenVersion) {
      await sleep(Math.min(CHECK_COMMITS_EVERY, until - Date.now()), signal)
    }
  }

  get hasNews(): boolean {
    return !this.connection.isClosed && Date.now() - this.lastReap >= REAP_EVERY
  }

  onNews(changed: () => void): void {
    this.reapTimer = setInterval(changed, REAP_EVERY)
  }

  /** Without a connection, nothing can be stored later. The lock of the worker is all that keeps its jobs from others. */
  get lease(): number | undefined {
    return this.connection.isClosed ? 0 : undefined
  }

  get isClosed(): boolean {
    return this.connection.isClosed
  }

  /** Gives up what waits for another connection that writes, so that it does not keep the process alive. */
  abandon(): void {
    clearInterval(this.reapTimer)
    this.connection.close()
  }

  close(): void {
    this.progress.close()
    clearInterval(this.reapTimer)
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

  /**
   * Every few seconds: checks the leases of the jobs in flight, removes old completed jobs, and returns the dead
   * workers.
   */
  private async findDeadWorkers(): Promise<(string | null)[]> {
    if (!this.hasNews) return []
    this.lastReap = Date.now()
    if (this.lock && !this.lock.isHeld()) await this.restartAsNewWorker()
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

  /**
   * The lock file was removed, so that other workers take this one for dead. It gives up its jobs, and goes on under a
   * new id.
   */
  private async restartAsNewWorker(): Promise<void> {
    this.host.logger.error(
      { worker: this.worker },
      'the lock file of this worker is gone: it gives up the jobs it holds',
    )
    for (const job of this.inFlight) job.lose()
    this.lock?.release()
    this.lock = undefined
    await this.prepare()
  }

  private noticeLostLeases(leases: ReadonlySet<string>): void {
    for (const job of this.inFlight) if (!leases.has(`${job.id}/${job.claim.lease}`)) job.lose()
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
      if (!isBusyError(error)) throw error // the next round removes the rest
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

  private claim(
    run: StatementRunner,
    slots: number,
    suspects: SuspectsWanted,
  ): { rows: ClaimedRow[]; nextDue: number } {
    const lease = ++this.leases
    const { due, nextDue } = this.due.find(run, slots, lease, suspects)
    if (due.length > 0) run(this.sql.claim).run(this.worker, lease, JSON.stringify(due.map(({ rowid }) => rowid)))
    return { rows: due.map(({ row }) => row), nextDue }
  }

  /** Returns the jobs whose lease this worker has lost. A job goes to `refused` when the database rejects its outcome. */
  private applyOutcomes(
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
      else each(job, () => this.applyOrPlain(run, job, outcome))
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

  /** @throws NotAllRemoved when some job could not be removed, because the result does not say which one */
  private removeAll(run: StatementRunner, jobs: readonly InFlightRow[]): void {
    const ids = asciiJson(jobs.map(({ id }) => id))
    try {
      const { changes } = run(this.sql.removeAll).run(ids, this.worker, jobs[0]?.claim.lease)
      if (changes < jobs.length) throw new NotAllRemoved()
    } catch (error) {
      throw isRefusal(error) ? new NotAllRemoved() : error
    }
  }

  /** Stores an outcome, without the text of its error when the database rejects that. */
  private applyOrPlain(run: StatementRunner, job: InFlightRow, outcome: Outcome): { changes: number } {
    const rowOutcome = rowOutcomeOf(outcome, job)
    try {
      return this.apply(run, job, rowOutcome)
    } catch (error) {
      if (!isRefusal(error)) throw error
      return this.apply(run, job, plain(rowOutcome))
    }
  }

  private apply(run: StatementRunner, job: InFlightRow, rowOutcome: RowOutcome): { changes: number } {
    const { state, error, suspect, giveBack, releasedSince, delay } = rowOutcome
    const now = Date.now()
    const runAt = delay === null ? null : now + delay
    const finishedAt = delay === null ? now : null
    const { id, lease } = job.claim
    const values = [state, error, suspect, giveBack, releasedSince, runAt, finishedAt]
    return run(this.sql.applyOutcomes).run(...values, id, this.worker, lease)
  }

  private add(row: ClaimedRow, died: boolean): InFlightRow {
    const job = new InFlightJob(row, row, died, (claim, value) => this.progress.set(claim, value))
    this.inFlight.push(job)
    return job
  }

  private storeProgress(values: readonly Progress<ClaimedRow>[]): Promise<void> {
    return this.connection.write((run) => {
      for (const { claim, progress } of values) run(this.sql.progress).run(progress, claim.id, this.worker, claim.lease)
    }, REAP_EVERY)
  }
}

/** Rolls the transaction back. */
class NotAllRemoved extends Error {}

/** Groups jobs by the lease of their claim. Nearly always there is only one group. */
function byLease(jobs: readonly InFlightRow[]): InFlightRow[][] {
  const claims: InFlightRow[][] = []
  for (const job of jobs) {
    const claimed = claims.find((jobs) => jobs[0]?.claim.lease === job.claim.lease)
    if (claimed) claimed.push(job)
    else claims.push([job])
  }
  return claims
}
