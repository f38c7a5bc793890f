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

/** How long the first beat may take, in ms: a thread and its own connection must be started first. */
const BEATS_WITHIN = 15_000

export interface LeasedStoreParts {
  readonly jobs: LeasedJobs
  readonly arrivals: Arrivals
  /** Starts the heartbeat of this worker; called once the worker is in the table of workers. */
  readonly startHeartbeat: (onGap: () => void) => Heartbeat
  /** Closes the connection. */
  readonly close: () => Promise<void>
}

/** What one worker does with the jobs of one data source on a database server: leases, heartbeat, cursors. */
export class LeasedStore implements JobStore<InFlightRow> {
  /** One for statements, and one for the heartbeat's thread. */
  readonly connections: number
  private readonly progress: ProgressWrites<Fence>
  private readonly inFlight = new InFlightJobs((fence, value) => this.progress.set(fence, value))
  private readonly cursors = new ClaimCursors()
  private readonly reapTimer: NodeJS.Timeout
  private heartbeat: Heartbeat | undefined
  private leases = 0
  /** The jobs in flight here may differ from those that the table shows as claimed by this worker. */
  private isStateUnknown = false
  private unknownUntil = -Infinity
  private lastContact = performance.now()
  private lastWork = performance.now()
  private hasNewJobs = false
  private nextDue = Infinity
  /** Lanes with due suspects: jobs that were running when a worker died. */
  private suspectLanes: readonly Lane[] = []
  private isReaping = false
  private isClosed = false
  private changed = () => {}
  private wake = () => {}

  constructor(
    private readonly host: BuiltInHost,
    private readonly parts: LeasedStoreParts,
    private readonly options: BuiltInConsumeOptions,
    /** In ms. */
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
      if (slots > 0) await this.untilFirstBeat()
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

  /**
   * A drain waits for the jobs of dead workers, because it is the only worker that some applications have, and it can
   * take them over only after a while.
   */
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
    // While jobs are still in flight, the row of this worker stays, so that no worker takes them over before the lease ends.
    if (this.inFlight.isEmpty) await this.parts.jobs.leave().catch(() => {})
    await this.parts.arrivals.close()
    await this.parts.close()
  }

  /** Releases the jobs that did not get a slot before the worker stopped. */
  private async giveBackUnstarted(): Promise<void> {
    const outcome: Outcome = { state: 'released', delay: 0, reason: 'The worker stopped before the job began.' }
    const { unstarted } = this.inFlight
    await this.applyOutcomes(
      unstarted.map((job) => ({ job, outcome })),
      new Map(),
    )
    this.inFlight.remove(unstarted)
  }

  /** Adds this worker to the table of workers. Without a row there, its claims would look like those of a dead worker. */
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

  private async untilFirstBeat(): Promise<void> {
    const over = new AbortController()
    const late = sleep(BEATS_WITHIN, over.signal).then(() => 'late' as const)
    const first = await Promise.race([this.heartbeat?.firstBeat, late]).finally(() => over.abort())
    if (first === 'late') throw new StoreUnavailableError("The worker's heartbeat has not reached the database yet.")
  }

  private isRemoved({ outcome }: FinishedJob<InFlightRow>): boolean {
    return outcome.state === 'completed' && this.host.keepCompleted === 0
  }

  /**
   * Returns the jobs whose lease this worker has lost. A job goes to `refused` when the database rejects its outcome even
   * without the text of its error.
   */
  private async applyOutcomes(
    finished: readonly FinishedJob<InFlightRow>[],
    refused: Map<InFlightRow, unknown>,
  ): Promise<Set<InFlightRow>> {
    if (finished.length === 0) return new Set()
    const leaseLost = new Set<InFlightRow>()
    const apply = async (some: readonly FinishedJob<InFlightRow>[], worded = (each: RowOutcome) => each) => {
      const outcomes = some.map(({ job, outcome }) => ({ ...fenceOf(job), ...worded(rowOutcomeOf(outcome, job)) }))
      const ids = await this.parts.jobs.applyOutcomes(outcomes)
      for (const { job, isRepeated } of some) if (!isRepeated && !ids.has(job.id)) leaseLost.add(job)
      return some
    }
    const offenders: FinishedJob<InFlightRow>[] = []
    await runApart(finished, apply, (each) => void offenders.push(each))
    for (const offender of offenders) {
      await runApart(
        [offender],
        (some) => apply(some, plain),
        ({ job }, error) => void refused.set(job, error),
      )
    }
    return leaseLost
  }

  /**
   * Returns whether no other job is due. Claimed jobs count as in flight at once, so that they are not forgotten when the
   * next statement fails.
   */
  private async removeAndClaim(
    finished: readonly FinishedJob<InFlightRow>[],
    slots: number,
    leaseLost: Set<InFlightRow>,
    refused: Map<InFlightRow, unknown>,
  ): Promise<boolean> {
    const free = Math.max(0, slots - this.inFlight.unstarted.length)
    // Suspects come first, because a backlog would leave them no slot.
    const claimed = await this.claimSuspects(finished, free)
    const removed = finished.filter((each) => this.isRemoved(each))
    const isAll = await this.removeAndClaimFromCursors(removed, free - claimed, leaseLost, refused)
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
      const removeOnly = async (some: readonly FinishedJob<InFlightRow>[]) => {
        await remove(some, 0)
        return some
      }
      await runApart(done, removeOnly, ({ job }, reason) => void refused.set(job, reason))
      return remove([], slots)
    })
    if (lanes === undefined || reply.claimed.length === slots) return reply.claimed.length < slots
    const hasFound = reply.claimed.length > 0
    if (this.options.once) return !hasFound && this.fullScan(slots)
    // Jobs that were found start first: the full scan can wait.
    if (!hasFound && this.cursors.untilFullScan === 0) return this.fullScan(slots)
    this.nextDue = Math.min(this.nextDue, performance.now() + this.cursors.untilFullScan)
    return true
  }

  /**
   * Claims from the beginning of every lane, after a claim from the cursors has found nothing. Returns whether no other
   * job is due.
   */
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
    if (now - start > this.lease) this.isStateUnknown = true // other workers may have reaped this one meanwhile
    this.lastContact = start
    if (slots > 0) this.cursors.advance(lanes === undefined, now - start, reply)
    this.nextDue = now + Math.min(Infinity, ...reply.lanes.map(({ wait }) => wait).filter((wait) => wait > 0))
    this.suspectLanes = reply.lanes.filter(({ suspect, wait }) => suspect > 0 && wait <= 0)
    return reply
  }

  /**
   * Claims suspects: jobs that were running when their worker died. After one death they run together, in up to half of
   * the slots. After a second death, or with only one attempt left, a suspect runs beside no other suspect, so that no
   * other job is suspected when it kills its worker again. Returns how many jobs were claimed.
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

  /** Called every few seconds. Beats, takes over the jobs of dead workers, and removes old completed jobs. */
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
      // A drain checks again: the worker that it waits for may be back, or its jobs may have been taken over.
      if (this.hasNews || this.options.once) this.changed()
      if (this.host.keepCompleted > 0) await this.prune()
    } catch (error) {
      if (this.isClosed) return
      this.host.logger.debug({ err: error }, 'the database did not answer the search for dead workers')
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

  /** A statement without an answer may still take effect later, so the state stays unknown for one lease. */
  private stateIsUnknown(): void {
    this.isStateUnknown = true
    this.unknownUntil = performance.now() + this.lease
    this.cursors.forget()
    this.changed()
  }

  /** Compares the jobs in flight here with those that the table shows as claimed by this worker. */
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
