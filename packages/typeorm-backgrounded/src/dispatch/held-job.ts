import type { JobEnvelope } from '../job/envelope'

/** The job of a call in a transaction. */
export interface HeldJob {
  readonly envelope: JobEnvelope
  /** How many calls this transaction had before it. */
  readonly number: number
  /** Of the savepoint that it was called in; 1 is the transaction itself. */
  depth: number
  /**
   * `'deferred'`: it is sent after the commit. `'pending'`: its row is to be written in the transaction, `'written'`: it is.
   * `'refused'`: the database has not taken it.
   */
  state: 'deferred' | 'pending' | 'written' | 'refused'
  /** Keeps several events on one row to one job. */
  readonly rowEvent?: string
}
