import type { BuiltInConsumeOptions, BuiltInHost } from '../../contract/built-in'
import { StoreUnavailableError } from '../../../errors'
import { LONGEST_TIMER, sleep } from '../../../concurrency/sleep'
import type { Outcome } from '../../contract/outcome'
import type { Heartbeat } from '../../heartbeat/heartbeat'
import { ProgressWrites, type Progress } from '../../consumption/progress-writes'
import type { AcknowledgedAndClaimed, FinishedJob, JobStore } from '../../consumption/store-consumption'
import type { InFlightRow } from '../claimed-row'
import { isRefusal, plain, runApart } from '../refusals'
import { rowOutcomeOf, type RowOutcome } from '../row-outcome'
import type { Arrival, Arrivals } from './arrivals'
import { InFlightJobs } from './in-flight-jobs'
import type { Claimed, AcknowledgeAndClaim, Fence, LeasedJobs, Lane } from './leased-jobs'
import { ClaimCursors } from './claim-cursors'
import { pollDelay } from './polling'

/** ms: a thread, and a connection of its own, take a moment. */
const BEATS_WITHIN = 15_000

export interface LeasedStoreParts {
  readonly jobs: LeasedJobs
  readonly arrivals: Arrivals
  /** Starts to beat for this worker; called once it is on the list. */
  readonly startHeartbeat: (onGap: () => void) => Heartbeat
  /** Lets go of the connection. */
  readonly close: () => Promise<void>
}

/** The jobs of one data source on a database server, as one worker sees them: leases, heartbeat, cursors. */
export class LeasedStore implements JobStore<InFlightRow> {
  /** For statements, and for the heartbeat's thread. */
  readonly connections: number
  private readonly progress: ProgressWrites<Fence>
  private readonly inFlight = new InFlightJobs((fence, value) => this.progress.set(fence, value))
  private readonly cursors = new ClaimCursors()
  private readonly reapTimer: NodeJS.Timeout
  private heartbeat: Heartbeat | undefined
  private leases = 0
  /** What this worker holds may differ from what the table says. */
  private isStateUnknown = false
  private unknownUntil = -Infinity
  private lastContact = performance.now()
  private lastWork = performance.now()
  private hasNewJobs = false
  private nextDue = Infinity
  /** Lanes with suspects that are due. */
  private suspectLanes: readonly Lane[] = []
  private isReaping = false
  private isClosed = false
  private changed = () => {}
  private wake = () => {}

  constructor(
    private readonly host: BuiltInHost,
    private readonly parts: LeasedStoreParts,
    private readonly options: BuiltInConsumeOptions,
    /** ms */
    readonly lease: number,
  ) {
    this.connections = options.once ? 1 : 2
    const store = (values: readonly Progress<Fence>[]) =>
      this.parts.jobs.storeProgress(values.map(({ claim: { id, lease }, progress }) => ({ id, lease, progress })))
    this.progress = new ProgressWrites(store, host.logger)
    parts.arrivals.onArrival((job) => this.arrived(job))
    this.reapTimer = setInterval(() => void this.reapAndPrune(), Math.min(lease / 4, LONGEST_TIMER))
  }

  async acknowledgeAndClaim(
    finished: readonly FinishedJob<InFlightRow>[],
    slots: number,
  ): Promise<AcknowledgedAndClaimed<InFlightRow>> {
    try {
      await this.enter()
      if (slots > 0) await this.untilItBeats()
      if (this.isStateUnknown) await this.reconcile(finished)
      const refused = new Map<InFlightRow, unknown>()
      const kept = finished.filter((each) => !this.isRemoved(each))
      await this.progress.beforeTheEnd(finished, this.host.keepCompleted > 0)
      const leaseLost = await this.applyOutcomes(kept, refused)
      const isAll = await this.removeAndClaim(finished, slots, leaseLost, refused)
      if (this.isStateUnknown) await this.reconcile(finished)
      this.inFlight.remove(finished.map(({ job }) => job).filter((job) => !refused.has(job)))
      const claimed = this.inFlight.start(slots)
      if (claimed.length + finished.length > 0) this.lastWork = performance.now()
      if (claimed.length > 0) this.heartbeat?.isRunning(this.inFlight.names)
      return { leaseLost, refused, claimed, isAll }
    } catch (error) {
      this.stateIsUnknown()
      throw error
    }
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (this.hasNewJobs || this.hasNews) return
    const over = new AbortController()
    this.wake = () => over.abort()
    const { pollInterval } = this.options
    const poll = pollDelay(pollInterval, performance.now() - this.lastWork, this.parts.arrivals.isListening)
    await sleep(Math.max(0, Math.min(poll, this.nextDue - performance.now())), AbortSignal.any([signal, over.signal]))
  }

  /** Who has only just come cannot judge others yet, and a drain is the only worker that some applications have. */
  async isDrained(): Promise<boolean> {
    return this.inFlight.hasStartedAll && !(await this.parts.jobs.hasOrphans())
  }

  get hasNews(): boolean {
    return this.isStateUnknown || this.inFlight.hasDied
  }

  onNews(changed: () => void): void {
    this.changed = changed
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.progress.close()
    clearInterval(this.reapTimer)
    await this.heartbeat?.stop()
    await this.giveBackUnstarted().catch(() => {})
    // While jobs are still in flight, the row of this worker stays, so that nobody takes them over before the lease ends.
    if (this.inFlight.isEmpty) await this.parts.jobs.leave().catch(() => {})
    await this.parts.arrivals.close()
    await this.parts.close()
  }

  /** Those that did not get a slot before the end. */
  private async giveBackUnstarted(): Promise<void> {
    const outcome: Outcome = { state: 'released', delay: 0, reason: 'The worker stopped before the job began.' }
    const { unstarted } = this.inFlight
    await this.applyOutcomes(
      unstarted.map((job) => ({ job, outcome })),
      new Map(),
    )
    this.inFlight.remove(unstarted)
  }

  /** A claim of a worker that is not on the list would be taken for a dead one's. */
  private async enter(): Promise<void> {
    if (this.heartbeat && performance.now() - this.lastContact <= this.lease) return
    if (!this.heartbeat && !this.options.once) await this.parts.jobs.check()
    const wasListed = await this.parts.jobs.beat()
    this.lastContact = performance.now()
    if (this.heartbeat) {
      if (!wasListed) this.stateIsUnknown()
      return
    }
    this.heartbeat = this.parts.startHeartbeat(() => this.stateIsUnknown())
    await this.reapAndPrune()
  }

  private async untilItBeats(): Promise<void> {
    const over = new AbortController()
    const late = sleep(BEATS_WITHIN, over.signal).then(() => 'late' as const)
    const first = await Promise.race([this.heartbeat?.firstBeat, late]).finally(() => over.abort())
    if (first === 'late') throw new StoreUnavailableError("The worker's heartbeat has not reached the database yet.")
  }

  private isRemoved({ outcome }: FinishedJob<InFlightRow>): boolean {
    return outcome.state === 'completed' && this.host.keepCompleted === 0
  }

  /** Returns what this worker has lost; what the database does not take, not even in plain words, is `refused`. */
  private async applyOutcomes(
    finished: readonly FinishedJob<InFlightRow>[],
    refused: Map<InFlightRow, unknown>,
  ): Promise<Set<InFlightRow>> {
    if (finished.length === 0) return new Set()
    const leaseLost = new Set<InFlightRow>()
    const settled = async (some: readonly FinishedJob<InFlightRow>[], worded = (each: RowOutcome) => each) => {
      const settlements = some.map(({ job, outcome }) => ({ ...fenceOf(job), ...worded(rowOutcomeOf(outcome, job)) }))
      const ids = await this.parts.jobs.applyOutcomes(settlements)
      for (const { job, isRepeated } of some) if (!isRepeated && !ids.has(job.id)) leaseLost.add(job)
      return some
    }
    const offenders: FinishedJob<InFlightRow>[] = []
    await runApart(finished, settled, (each) => void offenders.push(each))
    for (const offender of offenders) {
      await runApart(
        [offender],
        (some) => settled(some, plain),
        ({ job }, error) => void refused.set(job, error),
      )
    }
    return leaseLost
  }

  /** Returns whether nothing else is due. A claim is in flight at once, so that it is not lost if the next statement fails. */
  private async removeAndClaim(
    finished: readonly FinishedJob<InFlightRow>[],
    slots: number,
    leaseLost: Set<InFlightRow>,
    refused: Map<InFlightRow, unknown>,
  ): Promise<boolean> {
    const free = Math.max(0, slots - this.inFlight.unstarted.length)
    // Before the others: a backlog leaves no slot.
    const taken = await this.claimSuspects(finished, free)
    const removed = finished.filter((each) => this.isRemoved(each))
    const isAll = await this.removeAndClaimFromCursors(removed, free - taken, leaseLost, refused)
    if (isAll) await this.claimSuspects(finished, Math.max(0, slots - this.inFlight.unstarted.length))
    return isAll
  }

  private async removeAndClaimFromCursors(
    done: readonly FinishedJob<InFlightRow>[],
    slots: number,
    leaseLost: Set<InFlightRow>,
    refused: Map<InFlightRow, unknown>,
  ): Promise<boolean> {
    const lanes = this.cursors.current
    const remove = async (some: readonly FinishedJob<InFlightRow>[], free: number) => {
      const reply = await this.send({ done: some.map(({ job }) => job.claim), slots: free, lanes })
      for (const { job, isRepeated } of some) if (!isRepeated && reply.leaseLost.has(job.id)) leaseLost.add(job)
      return reply
    }
    const reply = await remove(done, slots).catch(async (error: unknown) => {
      if (done.length === 0 || !isRefusal(error)) throw error
      const one = async (some: readonly FinishedJob<InFlightRow>[]) => {
        await remove(some, 0)
        return some
      }
      await runApart(done, one, ({ job }, reason) => void refused.set(job, reason))
      return remove([], slots)
    })
    if (lanes === undefined || reply.claimed.length === slots) return reply.claimed.length < slots
    const hasFound = reply.claimed.length > 0
    if (this.options.once) return !hasFound && this.fullScan(slots)
    // Those that were found begin first.
    if (!hasFound && this.cursors.untilFullScan === 0) return this.fullScan(slots)
    this.nextDue = Math.min(this.nextDue, performance.now() + this.cursors.untilFullScan)
    return true
  }

  /** The cursors had nothing, and a full scan tells whether there is anything at all. */
  private async fullScan(slots: number): Promise<boolean> {
    const reply = await this.send({ done: [], slots })
    return reply.claimed.length < slots
  }

  private async send({ done, slots, lanes }: Omit<AcknowledgeAndClaim, 'lease'>): Promise<Claimed> {
    this.hasNewJobs = false
    const start = performance.now()
    const reply = await this.parts.jobs.acknowledgeAndClaim({ done, slots, lease: ++this.leases, lanes })
    const now = performance.now()
    this.inFlight.add(reply.claimed, false, reply.prefetched)
    if (now - start > this.lease) this.isStateUnknown = true // by now, others may have taken it for dead
    this.lastContact = start
    if (slots > 0) this.cursors.advance(lanes === undefined, now - start, reply)
    this.nextDue = now + Math.min(Infinity, ...reply.lanes.map(({ wait }) => wait).filter((wait) => wait > 0))
    this.suspectLanes = reply.lanes.filter(({ suspect, wait }) => suspect > 0 && wait <= 0)
    return reply
  }

  /**
   * Of the jobs whose worker has died, those that may well be innocent run together in up to half of the slots. One that
   * was there at a second death, or that has no attempt to lose, runs beside no other suspect: when it kills again,
   * nobody else is suspected. Returns how many it has claimed.
   */
  private async claimSuspects(finished: readonly FinishedJob<InFlightRow>[], free: number): Promise<number> {
    if (free === 0 || this.suspectLanes.length === 0) return 0
    const lanes = [...this.suspectLanes].sort((a, b) => this.rank(a) - this.rank(b) || a.wait - b.wait)
    const running = this.inFlight.suspects(jobsOf(finished))
    if (running.some(({ claim }) => claim.suspect > 1)) return 0
    let room = Math.min(free, Math.max(1, Math.floor((this.options.concurrency ?? 1) / 2)) - running.length)
    let claimed = 0
    const claim = async (lane: Lane, limit: number) => {
      const rows = await this.parts.jobs.claimSuspects(lane, limit, ++this.leases)
      this.inFlight.add(rows)
      room -= rows.length
      claimed += rows.length
    }
    for (const lane of lanes) if (lane.suspect === 1 && room > 0) await claim(lane, room)
    for (const lane of lanes) if (lane.suspect > 1 && running.length + claimed === 0) await claim(lane, 1)
    return claimed
  }

  private rank({ queue, priority }: Lane): number {
    return this.options.queues === '*' ? priority : this.options.queues.indexOf(queue)
  }

  /** Every few seconds: beats, and takes over the jobs of workers that have stopped beating. */
  private async reapAndPrune(): Promise<void> {
    if (this.isReaping || !this.heartbeat) return
    this.isReaping = true
    const start = performance.now()
    try {
      if (!(await this.parts.jobs.beat())) this.stateIsUnknown()
      const taken = await this.parts.jobs.reap(++this.leases)
      this.lastContact = start
      this.inFlight.add(taken, true)
      if (start < this.unknownUntil) this.isStateUnknown = true
      // Whom a drain waits for may have come back, or somebody else has taken over.
      if (this.hasNews || this.options.once) this.changed()
      if (this.host.keepCompleted > 0) await this.prune()
    } catch (error) {
      if (this.isClosed) return
      this.host.logger.debug({ err: error }, 'the database did not answer when dead workers were looked for')
      this.stateIsUnknown()
      if (performance.now() - this.lastContact <= this.lease) return
      this.inFlight.loseAllLeases()
    } finally {
      this.isReaping = false
    }
  }

  private async prune(): Promise<void> {
    while (!this.isClosed && !(await this.parts.jobs.prune(this.host.keepCompleted)));
  }

  /** A statement whose answer was lost may still take effect later, so the state stays unknown for one lease. */
  private stateIsUnknown(): void {
    this.isStateUnknown = true
    this.unknownUntil = performance.now() + this.lease
    this.cursors.forget()
    this.changed()
  }

  /** Compares what this worker holds with what the table says. */
  private async reconcile(finished: readonly FinishedJob<InFlightRow>[]): Promise<void> {
    const rows = await this.parts.jobs.claimedByThisWorker()
    this.isStateUnknown = false
    this.inFlight.reconcileWith(rows, jobsOf(finished))
  }

  private arrived(job?: Arrival): void {
    const { queues } = this.options
    if (job && queues !== '*' && !queues.includes(job.queue)) return
    if (!job || !this.cursors.knows(job.queue, job.priority)) this.cursors.forget()
    this.hasNewJobs = true
    this.wake()
  }
}

function fenceOf({ claim: { id, lease } }: InFlightRow): Fence {
  return { id, lease }
}

function jobsOf(finished: readonly FinishedJob<InFlightRow>[]): Set<InFlightRow> {
  return new Set(finished.map(({ job }) => job))
}
