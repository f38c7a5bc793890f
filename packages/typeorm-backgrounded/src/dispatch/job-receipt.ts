import type { JobSummary } from '../events'
import type { JobEnvelope } from '../job/envelope'

/** What a background call returns. */
export interface JobReceipt {
  /** UUIDv7; known at the call, before any commit. */
  readonly id: string
  /**
   * `'enqueued'`: the store has it. `'deferred'`: it waits for the caller's commit, or in the outbox for a store
   * that cannot be reached. `'duplicate'`: the store had it already. `'performed'`: it has run.
   */
  readonly state: 'enqueued' | 'deferred' | 'duplicate' | 'performed'
  readonly queue: string
}

/** What events and log lines say of a job. */
export function summaryOf({ id, entity, key, method, queue }: JobEnvelope): JobSummary {
  return { id, entity, key, method, queue }
}
