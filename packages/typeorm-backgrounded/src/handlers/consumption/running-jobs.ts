import { removeFrom } from '../../concurrency/remove-from'
import type { ClaimedJob, Execute } from '../contract/consumable'
import type { Outcome } from '../contract/outcome'
import type { FinishedJob } from './job-store'
import { soundOutcome } from './sound-outcome'

/** The jobs that this worker runs now. */
export class RunningJobs<Job extends ClaimedJob> {
  private readonly jobs: Job[] = []
  private areHandedBack = false

  constructor(
    private readonly execute: Execute,
    /** Called when a job ends, with an outcome that every store can apply. */
    private readonly onEnd: (job: Job, outcome: Outcome) => void,
  ) {}

  get count(): number {
    return this.jobs.length
  }

  start(jobs: readonly Job[]): void {
    this.jobs.push(...jobs)
    for (const job of jobs) if (!this.areHandedBack) this.run(job)
  }

  /**
   * Releases the jobs, because the process exits right after this and they end with it. What they return after this is
   * ignored, and no other job starts.
   */
  handBack(): FinishedJob<Job>[] {
    this.areHandedBack = true
    const outcome: Outcome = { state: 'released', delay: 0, reason: 'The worker stopped in the middle of the job.' }
    return this.jobs.map((job) => ({ job, outcome }))
  }

  private run(job: Job): void {
    const failed = (error: unknown) => this.ended(job, { state: 'failed', error })
    try {
      this.execute(job).then((outcome) => this.ended(job, soundOutcome(outcome)), failed)
    } catch (error) {
      failed(error)
    }
  }

  private ended(job: Job, outcome: Outcome): void {
    removeFrom(this.jobs, job)
    if (!this.areHandedBack) this.onEnd(job, outcome)
  }
}
