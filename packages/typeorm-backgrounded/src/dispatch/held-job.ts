import type { JobEnvelope } from '../job/envelope'

/** The job of a call in a transaction. */
export interface HeldJob {
  readonly envelope: JobEnvelope
  /** How many calls were made before it in this transaction. */
  readonly number: number
  /** Of the savepoint that it was called in; 1 is the transaction itself. */
  depth: number
  /**
   * `'deferred'`: it is sent after the commit. `'pending'`: its row is still to be written in the transaction. `'written'`:
   * its row is written. `'refused'`: the database has refused it.
   */
  state: 'deferred' | 'pending' | 'written' | 'refused'
  /** Identifies the event, so that several events on one row make one job. */
  readonly rowEvent?: string
}
