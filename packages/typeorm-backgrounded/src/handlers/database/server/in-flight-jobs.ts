import { removeFrom } from '../../../concurrency/remove-from'
import type { PrefetchedRows } from '../../contract/built-in'
import { InFlightJob } from '../../consumption/in-flight-job'
import type { ClaimedRow, InFlightRow } from '../claimed-row'
import type { Fence } from './leased-jobs'

/** The jobs that one worker has claimed: those that run, and those that it has not started yet. */
export class InFlightJobs {
  private readonly all: InFlightRow[] = []
  private unstartedJobs: InFlightRow[] = []

  constructor(private readonly storeProgress: (fence: Fence, value: unknown) => void) {}

  /** @param died whether their last worker died: then they are not run, but only given an outcome */
  add(rows: Iterable<ClaimedRow>, died = false, prefetched?: PrefetchedRows): void {
    for (const row of rows) {
      const job = new InFlightJob(row, row, died, this.storeProgress, prefetched)
      this.all.push(job)
      this.unstartedJobs.push(job)
    }
  }

  /** Marks up to `slots` jobs as started and returns them, with all jobs of dead workers, which need no slot. */
  start(slots: number): InFlightRow[] {
    const started: InFlightRow[] = []
    const kept: InFlightRow[] = []
    for (const job of this.unstartedJobs) (job.died || slots-- > 0 ? started : kept).push(job)
    this.unstartedJobs = kept
    return started
  }

  remove(jobs: Iterable<InFlightRow>): void {
    for (const job of jobs) removeFrom(this.all, job)
  }

  /** Jobs that run, or are about to run, after a worker died of them or beside them. */
  suspects(ended: ReadonlySet<InFlightRow>): readonly InFlightRow[] {
    return this.all.filter((job) => job.claim.suspect > 0 && !job.died && !ended.has(job))
  }

  get isEmpty(): boolean {
    return this.all.length === 0
  }

  /** Jobs that wait for a slot. */
  get unstarted(): readonly InFlightRow[] {
    return this.unstartedJobs.filter(({ died }) => !died)
  }

  get hasStartedAll(): boolean {
    return this.unstartedJobs.length === 0
  }

  get hasDied(): boolean {
    return this.unstartedJobs.some(({ died }) => died)
  }

  /** For the message about a process that hangs. */
  get names(): string[] {
    return this.all.map(({ name }) => name)
  }

  loseAllLeases(): void {
    for (const job of this.all) job.lose()
  }

  /**
   * Compares these jobs with `rows`, which are all rows that the table shows as claimed by this worker. A job without a
   * row has lost its lease, and a row without a job is added.
   */
  reconcileWith(rows: readonly ClaimedRow[], ended: ReadonlySet<InFlightRow>): void {
    const stored = new Map(rows.map((row) => [keyOf(row), row]))
    const gone = new Set<InFlightRow>()
    for (const job of this.all) {
      if (stored.delete(keyOf(job.claim)) || ended.has(job)) continue
      job.lose()
      gone.add(job)
    }
    this.remove(this.unstartedJobs.filter((job) => gone.has(job)))
    this.unstartedJobs = this.unstartedJobs.filter((job) => !gone.has(job))
    // A suspect may have been taken over from a dead worker, so it is only given an outcome.
    for (const row of stored.values()) this.add([row], row.suspect > 0)
  }
}

function keyOf({ id, lease }: Fence): string {
  return `${id}/${lease}`
}
