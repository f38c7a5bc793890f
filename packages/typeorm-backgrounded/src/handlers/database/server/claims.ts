import type { BuiltInConsumeOptions } from '../../contract/built-in'
import type { FinishedJob } from '../../consumption/job-store'
import type { InFlightRow } from '../claimed-row'
import { isRefusal, runApart } from '../refusals'
import type { Acknowledgement } from './acknowledgement'
import type { Arrival } from './arrivals'
import { ClaimCursors } from './claim-cursors'
import type { Contact } from '../../consumption/contact'
import type { IdleTime } from './idle-time'
import type { InFlightJobs } from './in-flight-jobs'
import type { LeaseNumbers } from './lease-numbers'
import type { AcknowledgeAndClaim, Claimed, LeasedJobs } from './leased-jobs'
import { Suspects } from './suspects'
import type { UnknownAnswers } from './unknown-answers'

export interface ClaimsParts {
  readonly jobs: LeasedJobs
  readonly inFlight: InFlightJobs
  readonly leases: LeaseNumbers
  readonly contact: Contact
  readonly unknown: UnknownAnswers
  readonly idle: IdleTime
  readonly options: BuiltInConsumeOptions
  /** ms */
  readonly lease: number
}

/**
 * Claims due jobs for free slots. Claimed jobs count as in flight at once, so that they are not forgotten when the next
 * statement fails.
 */
export class Claims {
  private readonly cursors = new ClaimCursors()
  private readonly suspects: Suspects

  constructor(private readonly parts: ClaimsParts) {
    const { jobs, inFlight, leases, options } = parts
    this.suspects = new Suspects(jobs, inFlight, leases, options)
  }

  /** Jobs may wait behind the cursors. */
  forgetCursors(): void {
    this.cursors.forget()
  }

  jobArrived(job?: Arrival): void {
    if (!job || !this.cursors.knows(job.queue, job.priority)) this.cursors.forget()
  }

  /** Returns whether no other job is due. */
  async removeAndClaim(acknowledgement: Acknowledgement, slots: number): Promise<boolean> {
    const free = this.freeOf(slots)
    // Suspects come first, because a backlog would leave them no slot.
    const claimed = await this.suspects.claim(acknowledgement, free)
    const isAll = await this.removeAndClaimFromCursors(acknowledgement, free - claimed)
    if (isAll) await this.suspects.claim(acknowledgement, this.freeOf(slots))
    return isAll
  }

  private freeOf(slots: number): number {
    return Math.max(0, slots - this.parts.inFlight.unstarted.length)
  }

  private async removeAndClaimFromCursors(acknowledgement: Acknowledgement, slots: number): Promise<boolean> {
    const { idle, options } = this.parts
    const lanes = this.cursors.current
    const reply = await this.send(acknowledgement, acknowledgement.removed, slots, lanes).catch((error: unknown) =>
      this.removeApart(acknowledgement, slots, lanes, error),
    )
    if (lanes === undefined || reply.claimed.length === slots) return reply.claimed.length < slots
    const hasFound = reply.claimed.length > 0
    if (options.once) return !hasFound && this.fullScan(acknowledgement, slots)
    // Jobs that were found start first: the full scan can wait.
    if (!hasFound && this.cursors.untilFullScan === 0) return this.fullScan(acknowledgement, slots)
    idle.endWithin(this.cursors.untilFullScan)
    return true
  }

  /** Finds the jobs that the database refuses to remove, and then claims. */
  private async removeApart(
    acknowledgement: Acknowledgement,
    slots: number,
    lanes: AcknowledgeAndClaim['lanes'],
    error: unknown,
  ): Promise<Claimed> {
    const { removed } = acknowledgement
    if (removed.length === 0 || !isRefusal(error)) throw error
    const remove = async (some: readonly FinishedJob<InFlightRow>[]) => {
      await this.send(acknowledgement, some, 0, lanes)
      return some
    }
    await runApart(removed, remove, ({ job }, reason) => acknowledgement.refuse(job, reason))
    return this.send(acknowledgement, [], slots, lanes)
  }

  /**
   * Claims from the beginning of every lane, after a claim from the cursors has found nothing. Returns whether no other
   * job is due.
   */
  private async fullScan(acknowledgement: Acknowledgement, slots: number): Promise<boolean> {
    const reply = await this.send(acknowledgement, [], slots, undefined)
    return reply.claimed.length < slots
  }

  private async send(
    acknowledgement: Acknowledgement,
    done: readonly FinishedJob<InFlightRow>[],
    slots: number,
    lanes: AcknowledgeAndClaim['lanes'],
  ): Promise<Claimed> {
    const { jobs, inFlight, leases, contact, unknown, idle, lease } = this.parts
    idle.claimBegins()
    const start = performance.now()
    const reply = await jobs.acknowledgeAndClaim({
      done: done.map(({ job }) => job.claim),
      slots,
      lease: leases.next(),
      lanes,
    })
    const now = performance.now()
    inFlight.add(reply.claimed, false, reply.prefetched)
    if (now - start > lease) unknown.compareAgain() // other workers may have reaped this one meanwhile
    contact.madeAt(start)
    if (slots > 0) this.cursors.advance(lanes === undefined, now - start, reply)
    idle.claimEnded(
      now,
      reply.lanes.map(({ wait }) => wait),
    )
    this.suspects.seenIn(reply.lanes)
    for (const each of done) if (reply.leaseLost.has(each.job.id)) acknowledgement.hasNoLease(each)
    return reply
  }
}
