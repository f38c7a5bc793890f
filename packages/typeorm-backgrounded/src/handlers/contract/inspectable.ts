import type { Duration } from '../../job/duration'
import type { JobEnvelope } from '../../job/envelope'

/** A handler whose jobs can be looked at and changed by hand. Every method rejects when the store cannot be reached. */
export interface Inspectable {
  /**
   * The jobs that fit every member of the query, at most `limit`; with an empty query, any.
   * @throws InvalidOptionError for an age that is not a duration
   */
  find(query: JobQuery): Promise<readonly InspectedJob[]>
  /** How many jobs there are in each state, over all queues. */
  counts(): Promise<Readonly<Record<JobState, number>>>
  /** Makes failed or discarded jobs due again, with all their attempts; returns how many. Other ids are left alone. */
  retry(ids: readonly string[]): Promise<number>
  /** Removes jobs that are not running, for good; returns how many. Running ones and unknown ids are left alone. */
  discard(ids: readonly string[]): Promise<number>
  /** Keeps workers from claiming jobs of this queue, until `resume`; calls are still taken. */
  pause(queue: string): Promise<void>
  /** Undoes `pause`; for a queue that is not paused, does nothing. */
  resume(queue: string): Promise<void>
  /**
   * Removes jobs that completed, failed or were discarded before `query.before`, or those of one such state; returns
   * how many. Jobs that wait or run are left alone.
   * @throws InvalidOptionError for an invalid date
   */
  prune(query: { before: Date; state?: JobState }): Promise<number>
}

export type JobState = 'waiting' | 'running' | 'completed' | 'failed' | 'discarded'

/** Which jobs to find. A member that is left out matches every job. */
export interface JobQuery {
  readonly queue?: string
  /** The entity's name in stored jobs. */
  readonly entity?: string
  /** The whole key, by property path: `{ id: 5 }`. */
  readonly key?: Readonly<Record<string, unknown>>
  /** The method's name in stored jobs. */
  readonly method?: string
  readonly state?: JobState
  /** Enqueued longer ago than this: ms or '5m'. */
  readonly olderThan?: Duration
  /** Enqueued no longer ago than this: ms or '5m'. */
  readonly newerThan?: Duration
  /** Default 100. */
  readonly limit?: number
}

/** A job as it is in the store. */
export interface InspectedJob {
  readonly id: string
  readonly state: JobState
  readonly envelope: JobEnvelope
  /** How often it has been claimed. */
  readonly attempt: number
  /** The error of the last failed attempt, or why the job was discarded or released. */
  readonly error?: string
}
