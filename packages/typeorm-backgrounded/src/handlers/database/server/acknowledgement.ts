import type { FinishedJob } from '../../consumption/job-store'
import type { InFlightRow } from '../claimed-row'
import { plain, runApart } from '../refusals'
import { rowOutcomeOf, type RowOutcome } from '../row-outcome'
import type { Fence, LeasedJobs } from './leased-jobs'

type Finished = FinishedJob<InFlightRow>

/** Jobs that have ended, and what the database answers to that. */
export class Acknowledgement {
  /** Jobs whose lease this worker has lost. */
  readonly leaseLost = new Set<InFlightRow>()
  /** Jobs whose outcome the database rejects, with its error. */
  readonly refused = new Map<InFlightRow, unknown>()
  /** Completed jobs whose rows are removed together with the next claim. */
  readonly removed: readonly Finished[]
  private readonly kept: readonly Finished[]

  /** @param keepsCompleted whether the rows of completed jobs stay in the table */
  constructor(
    readonly finished: readonly Finished[],
    keepsCompleted: boolean,
  ) {
    const isRemoved = ({ outcome }: Finished) => outcome.state === 'completed' && !keepsCompleted
    this.removed = finished.filter(isRemoved)
    this.kept = finished.filter((each) => !isRemoved(each))
  }

  get jobs(): ReadonlySet<InFlightRow> {
    return new Set(this.finished.map(({ job }) => job))
  }

  /** Jobs that are no longer in flight. */
  get ended(): InFlightRow[] {
    return this.finished.map(({ job }) => job).filter((job) => !this.refused.has(job))
  }

  /**
   * Stores the outcomes of jobs whose rows stay. A job goes to `refused` when the database rejects its outcome even
   * without the text of its error.
   */
  async storeOutcomes(jobs: LeasedJobs): Promise<void> {
    if (this.kept.length === 0) return
    const apply = async (some: readonly Finished[], worded = (each: RowOutcome) => each) => {
      const outcomes = some.map(({ job, outcome }) => ({ ...fenceOf(job), ...worded(rowOutcomeOf(outcome, job)) }))
      const ids = await jobs.applyOutcomes(outcomes)
      for (const each of some) if (!ids.has(each.job.id)) this.hasNoLease(each)
      return some
    }
    const offenders: Finished[] = []
    await runApart(this.kept, apply, (each) => void offenders.push(each))
    for (const offender of offenders) {
      await runApart(
        [offender],
        (some) => apply(some, plain),
        ({ job }, error) => this.refuse(job, error),
      )
    }
  }

  refuse(job: InFlightRow, error: unknown): void {
    this.refused.set(job, error)
  }

  /** Ignores an outcome that is repeated, because its row may be missing since the first time. */
  hasNoLease({ job, isRepeated }: Finished): void {
    if (!isRepeated) this.leaseLost.add(job)
  }
}

function fenceOf({ claim: { id, lease } }: InFlightRow): Fence {
  return { id, lease }
}
