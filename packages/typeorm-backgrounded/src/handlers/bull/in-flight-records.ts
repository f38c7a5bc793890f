import { removeFrom } from '../../concurrency/remove-from'
import { InFlightJob } from '../consumption/in-flight-job'
import { envelopeOf } from './job-record'
import type { ClaimedRecord } from './scripts/claimed'

export type InFlightRecord = InFlightJob<ClaimedRecord>

/** The jobs that one worker has claimed: those that run, and those that it has not started yet. */
export class InFlightRecords {
  private readonly all: InFlightRecord[] = []
  /** Jobs of dead workers, and claimed jobs of an unknown answer, which the next claim starts. */
  private unstarted: InFlightRecord[] = []

  constructor(private readonly storeProgress: (claim: ClaimedRecord, value: unknown) => void) {}

  /** Adds jobs that start with the next claim. */
  add(records: readonly ClaimedRecord[]): void {
    for (const record of records) this.unstarted.push(this.added(record))
  }

  /** Adds claimed jobs, and returns them together with those that have not started yet. */
  start(records: readonly ClaimedRecord[]): InFlightRecord[] {
    const started = [...this.unstarted, ...records.map((record) => this.added(record))]
    this.unstarted = []
    return started
  }

  remove(job: InFlightRecord): void {
    removeFrom(this.all, job)
  }

  get count(): number {
    return this.all.length
  }

  get hasStartedAll(): boolean {
    return this.unstarted.length === 0
  }

  /** How many jobs wait for a slot. Those of dead workers, which are only given an outcome, need none. */
  get waiting(): number {
    return this.unstarted.filter(({ died }) => !died).length
  }

  /** Jobs that run, or are about to run, after a worker died of them or beside them. */
  suspects(ended: ReadonlySet<InFlightRecord>): readonly InFlightRecord[] {
    return this.all.filter((job) => job.claim.isSuspect && !job.died && !ended.has(job))
  }

  /** For the message about a process that hangs. */
  get names(): string[] {
    return this.all.map(({ name }) => name)
  }

  loseAllLeases(): void {
    for (const job of this.all) job.lose()
  }

  /**
   * Compares these jobs with `stored`, which are all jobs that Redis has as claimed by this worker. A job that is not among
   * them has lost its lease, and one that is not known here is added.
   */
  reconcileWith(stored: readonly ClaimedRecord[]): void {
    // The same token may belong to several jobs, when ioredis has sent a claim twice.
    const claims = new Set(stored.map(claimOf))
    const known = new Set<string>()
    for (const job of this.all) {
      known.add(claimOf(job.claim))
      if (!claims.has(claimOf(job.claim))) job.lose()
    }
    this.add(stored.filter((record) => !known.has(claimOf(record))))
  }

  private added(record: ClaimedRecord): InFlightRecord {
    const job = new InFlightJob(record, envelopeOf(record), record.died, this.storeProgress)
    this.all.push(job)
    return job
  }
}

function claimOf({ queue, id, token }: ClaimedRecord): string {
  return JSON.stringify([queue, id, token])
}
