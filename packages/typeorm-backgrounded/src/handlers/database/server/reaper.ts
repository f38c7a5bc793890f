import { LONGEST_TIMER } from '../../../concurrency/sleep'
import type { BuiltInHost } from '../../contract/built-in'
import type { Contact } from '../../consumption/contact'
import type { InFlightJobs } from './in-flight-jobs'
import type { LeaseNumbers } from './lease-numbers'
import type { LeasedJobs } from './leased-jobs'
import type { UnknownAnswers } from './unknown-answers'
import type { WorkerPresence } from './worker-presence'

export interface ReaperParts {
  readonly jobs: LeasedJobs
  readonly inFlight: InFlightJobs
  readonly leases: LeaseNumbers
  readonly contact: Contact
  readonly unknown: UnknownAnswers
  readonly presence: WorkerPresence
  readonly host: BuiltInHost
  /** ms */
  readonly lease: number
  /** Called after each search for dead workers. */
  readonly onReaped: () => void
}

/** Every few seconds: beats, takes over the jobs of dead workers, and removes old completed jobs. */
export class Reaper {
  private readonly timer: NodeJS.Timeout
  private isReaping = false
  private isClosed = false

  constructor(private readonly parts: ReaperParts) {
    this.timer = setInterval(() => void this.reapAndPrune(), Math.min(parts.lease / 4, LONGEST_TIMER))
  }

  async reapAndPrune(): Promise<void> {
    const { contact, host, inFlight, jobs, leases, onReaped, presence, unknown } = this.parts
    if (this.isReaping || !presence.isEntered) return
    this.isReaping = true
    const start = performance.now()
    try {
      if (!(await jobs.beat())) unknown.add()
      const taken = await jobs.reap(leases.next())
      contact.madeAt(start)
      inFlight.add(taken, true)
      unknown.compareAgainAfter(start)
      onReaped()
      if (host.keepCompleted > 0) await this.prune()
    } catch (error) {
      if (this.isClosed) return
      host.logger.debug({ err: error }, 'the database did not answer the search for dead workers')
      unknown.add()
      if (contact.isLost) inFlight.loseAllLeases()
    } finally {
      this.isReaping = false
    }
  }

  close(): void {
    this.isClosed = true
    clearInterval(this.timer)
  }

  private async prune(): Promise<void> {
    const { host, jobs } = this.parts
    while (!this.isClosed && !(await jobs.prune(host.keepCompleted)));
  }
}
