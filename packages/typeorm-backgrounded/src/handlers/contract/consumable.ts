import type { Outcome } from './outcome'

/** A handler whose jobs a worker can run, or that runs them itself (`consumes: 'inline'`). */
export interface Consumable {
  /**
   * Claims jobs while there are free slots, runs each through `execute`, applies its outcome, and calls
   * `options.applied` once the store has it.
   */
  consume(options: ConsumeOptions, execute: Execute): Consumption
}

export type Execute = (job: ClaimedJob) => Promise<Outcome>

export interface ConsumeOptions {
  /** In order of preference; `'*'` for all. */
  readonly queues: readonly string[] | '*'
  /** Jobs at a time. A worker always sets it, because how many jobs can run side by side depends on the data source. */
  readonly concurrency?: number
  /** ms between polls of a store that does not notify workers of jobs. */
  readonly pollInterval: number
  /** End when no job is due any more. Jobs that were released or failed meanwhile are not claimed again. */
  readonly once: boolean
  /** For a handler that watches the event loop: after how many ms without a turn the process counts as hung. */
  readonly maxSilence?: number
  /** Called when the store has the outcome of this job. */
  applied(job: ClaimedJob, outcome: Outcome): void
  /** Called when another worker has this job now, so that its outcome was not stored. */
  leaseLost(job: ClaimedJob): void
}

/** A running `consume`. */
export interface Consumption {
  /** Jobs at a time. */
  readonly concurrency: number
  /** Connections to the store that it holds beside the data source's pool. */
  readonly connections?: number
  /** Resolves when the consumption has ended; rejects when it cannot go on. */
  readonly finished: Promise<void>
  /** Resolves when the store was reached for the first time. Absent when the store is always in reach. */
  readonly ready?: Promise<void>
  /**
   * Claims nothing more, waits for running jobs until `deadline` (ms since the epoch), and resolves.
   * With `exiting`, jobs that still run then go back to the queue, because the caller's exit ends them at once.
   */
  stop(deadline: number, options?: { exiting?: boolean }): Promise<void>
}

/** A job that this worker has claimed. */
export interface ClaimedJob {
  readonly id: string
  readonly queue: string
  /** As stored, unchecked: see `readEnvelope`. */
  readonly envelope: unknown
  /** Counted by the claim: 1 for the first run. */
  readonly attempt: number
  /** Its last worker died, so it must not be run now, but only be given an outcome. */
  readonly died?: boolean
  /** Since when it is released again and again for something that workers lack, in ms since the epoch. */
  readonly releasedSince?: number
  /** Aborts when the lease is lost. */
  readonly signal?: AbortSignal
  /** Stores how far the job has come. */
  progress?(value: unknown): void
}
