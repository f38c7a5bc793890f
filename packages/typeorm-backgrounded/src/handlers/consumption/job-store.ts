import type { ClaimedJob } from '../contract/consumable'
import type { Outcome } from '../contract/outcome'

/** A store of jobs as the consumption loop needs it. */
export interface JobStore<Job extends ClaimedJob = ClaimedJob> {
  /** Applies what has finished and claims up to `slots` due jobs, in one go where it can. */
  acknowledgeAndClaim(finished: readonly FinishedJob<Job>[], slots: number): Promise<AcknowledgedAndClaimed<Job>>
  /** Resolves when there may be something due, or `signal` aborts. */
  wait(signal: AbortSignal): Promise<void>
  /** True when the store must be asked even without a free slot, because workers have died or leases may be lost. */
  readonly hasNews?: boolean
  /** False while a drain should wait for the jobs of workers that seem to have died. Default true. */
  isDrained?(): Promise<boolean>
  /** Connections of its own. */
  readonly connections?: number
  /** How long this worker may be without contact, in ms, before other workers take over its jobs; default 20 s. */
  readonly lease?: number
  /** Calls `changed` when `hasNews` becomes true. */
  onNews?(changed: () => void): void
  /** Called once the loop has ended. */
  close(): void | Promise<void>
}

export interface FinishedJob<Job extends ClaimedJob = ClaimedJob> {
  readonly job: Job
  readonly outcome: Outcome
  /** It was sent before without an answer, so a missing row does not mean that the lease was lost. */
  readonly isRepeated?: boolean
}

export interface AcknowledgedAndClaimed<Job extends ClaimedJob = ClaimedJob> {
  readonly claimed: readonly Job[]
  /** Finished jobs whose lease this worker had lost. */
  readonly leaseLost: ReadonlySet<Job>
  /** Finished jobs whose outcome the store has refused, with the reason. */
  readonly refused?: ReadonlyMap<Job, unknown>
  /** No other job was due, so the store need not be asked again before it has news. */
  readonly isAll?: boolean
}
