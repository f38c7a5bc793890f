import type { Logger } from '../../logger'
import type { ClaimedJob } from '../contract/consumable'
import type { FinishedJob } from './job-store'
import { retryDelay } from './retry-delay'

/**
 * Outcomes that the store has refused. The job of each stays claimed by this worker, without a slot, until the store takes
 * the outcome. Such a job waits for its next try, and holds up no others.
 */
export class RefusedOutcomes<Job extends ClaimedJob> {
  /** The first refusal, with which a drain rejects in the end. */
  first: { readonly error: unknown } | undefined
  /** How often the store has refused the outcome of a job. */
  private readonly tries = new Map<Job, number>()
  private readonly timers = new Set<NodeJS.Timeout>()

  constructor(
    private readonly tryAgain: (refused: FinishedJob<Job>) => void,
    private readonly logger: Logger,
  ) {}

  /** @param isLastTry true when the worker ends before another try */
  add(refused: FinishedJob<Job>, error: unknown, isLastTry: boolean): void {
    const { job } = refused
    const tries = this.tries.get(job) ?? 0
    this.tries.set(job, tries + 1)
    const delay = retryDelay(tries)
    this.logger.error({ err: error, job: job.id, retryIn: delay }, 'the store refuses the outcome of a job')
    this.first ??= { error }
    if (isLastTry) return
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      this.tryAgain(refused)
    }, delay)
    this.timers.add(timer)
  }

  /** The store has taken the outcome of this job. */
  remove(job: Job): void {
    this.tries.delete(job)
  }

  close(): void {
    for (const timer of this.timers) clearTimeout(timer)
  }
}
