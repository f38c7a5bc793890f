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

  /** @param died their last worker did: they are not run, only given an outcome */
  add(rows: Iterable<ClaimedRow>, died = false, read?: PrefetchedRows): void {
    for (const row of rows) {
      const job = new InFlightJob(row, row, died, this.storeProgress, read)
      this.all.push(job)
      this.unstartedJobs.push(job)
    }
  }

  /** Starts as many as there are slots, and returns them. A job of a dead worker needs no slot. */
  start(slots: number): InFlightRow[] {
    const given: InFlightRow[] = []
    const kept: InFlightRow[] = []
    for (const job of this.unstartedJobs) (job.died || slots-- > 0 ? given : kept).push(job)
    this.unstartedJobs = kept
    return given
  }

  remove(jobs: Iterable<InFlightRow>): void {
    for (const job of jobs) removeFrom(this.all, job)
  }

  /** Those that run, or are about to, and are not among those that have ended. */
  suspects(ended: ReadonlySet<InFlightRow>): readonly InFlightRow[] {
    return this.all.filter((job) => job.claim.suspect > 0 && !job.died && !ended.has(job))
  }

  get isEmpty(): boolean {
    return this.all.length === 0
  }

  /** Not begun, and to be run. */
  get unstarted(): readonly InFlightRow[] {
    return this.unstartedJobs.filter(({ died }) => !died)
  }

  /** Nothing is in it that has not been handed out. */
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

  /** Loses what `rows`, all that the table says of this worker, lacks, and takes what only the table knows of. */
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
    // A suspect may have been taken over, not claimed: it is not run before that is sorted out.
    for (const row of stored.values()) this.add([row], row.suspect > 0)
  }
}

function keyOf({ id, lease }: Fence): string {
  return `${id}/${lease}`
}
