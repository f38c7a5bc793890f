import { StoreUnavailableError } from '../../../errors'
import { LONGEST_TIMER, sleep } from '../../../pause'
import type { ConsumeOptions, HandlerHost, Outcome } from '../../handler'
import type { Heartbeat } from '../../heartbeat/heartbeat'
import { ProgressWrites, type Progress } from '../../progress-writes'
import type { Exchanged, FinishedJob, JobStore } from '../../store-consumption'
import type { HeldRow } from '../claimed-row'
import { isRefusal, plain, runApart } from '../refusals'
import { settlementOf, type Settlement } from '../settlement'
import type { Arrival, Arrivals } from './arrivals'
import { Hand } from './hand'
import type { ExchangeReply, ExchangeRequest, Fence, LeasedJobs, Level } from './leased-jobs'
import { Levels } from './levels'
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

/** The jobs of one data source on a database server, as one worker sees them: leases, heartbeat, marks. */
export class LeasedStore implements JobStore<HeldRow> {
  /** For statements, and for the heartbeat's thread. */
  readonly connections: number
  private readonly progress: ProgressWrites<Fence>
  private readonly hand = new Hand((fence, value) => this.progress.set(fence, value))
  private readonly levels = new Levels()
  private readonly looks: NodeJS.Timeout
  private heartbeat: Heartbeat | undefined
  private leases = 0
  /** What this worker holds may differ from what the table says. */
  private isUnsure = false
  private unsureUntil = -Infinity
  private lastContact = performance.now()
  private lastWork = performance.now()
  private heard = false
  private nextDue = Infinity
  /** Those with suspects that are due. */
  private suspectLevels: readonly Level[] = []
  private isLooking = false
  private isClosed = false
  private changed = () => {}
  private wake = () => {}

  constructor(
    private readonly host: HandlerHost,
    private readonly parts: LeasedStoreParts,
    private readonly options: ConsumeOptions,
    /** ms */
    readonly lease: number,
  ) {
    this.connections = options.once ? 1 : 2
    const store = (values: readonly Progress<Fence>[]) =>
      this.parts.jobs.storeProgress(values.map(({ claim: { id, lease }, progress }) => ({ id, lease, progress })))
    this.progress = new ProgressWrites(store, host.logger)
    parts.arrivals.onArrival((job) => this.arrived(job))
    this.looks = setInterval(() => void this.lookAround(), Math.min(lease / 4, LONGEST_TIMER))
  }

  async exchange(finished: readonly FinishedJob<HeldRow>[], slots: number): Promise<Exchanged<HeldRow>> {
    try {
      await this.enter()
      if (slots > 0) await this.untilItBeats()
      if (this.isUnsure) await this.reconcile(finished)
      const refused = new Map<HeldRow, unknown>()
      const kept = finished.filter((each) => !this.isRemoved(each))
      await this.progress.beforeTheEnd(finished, this.host.keepCompleted > 0)
      const lost = await this.settle(kept, refused)
      const isAll = await this.removeAndClaim(finished, slots, lost, refused)
      if (this.isUnsure) await this.reconcile(finished)
      this.hand.letGo(finished.map(({ job }) => job).filter((job) => !refused.has(job)))
      const claimed = this.hand.handOut(slots)
      if (claimed.length + finished.length > 0) this.lastWork = performance.now()
      if (claimed.length > 0) this.heartbeat?.isRunning(this.hand.names)
      return { lost, refused, claimed, isAll }
    } catch (error) {
      this.beUnsure()
      throw error
    }
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (this.heard || this.hasNews) return
    const over = new AbortController()
    this.wake = () => over.abort()
    const { pollInterval } = this.options
    const poll = pollDelay(pollInterval, performance.now() - this.lastWork, this.parts.arrivals.isListening)
    await sleep(Math.max(0, Math.min(poll, this.nextDue - performance.now())), AbortSignal.any([signal, over.signal]))
  }

  /** Who has only just come cannot judge others yet, and a drain is the only worker that some applications have. */
  async isDrained(): Promise<boolean> {
    return this.hand.isHandedOut && !(await this.parts.jobs.hasOrphans())
  }

  get hasNews(): boolean {
    return this.isUnsure || this.hand.hasDead
  }

  onNews(changed: () => void): void {
    this.changed = changed
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.progress.close()
    clearInterval(this.looks)
    await this.heartbeat?.stop()
    await this.giveBackUnstarted().catch(() => {})
    // With something still in hand, the list says that this worker lives for as long as it has to be believed.
    if (this.hand.isEmpty) await this.parts.jobs.leave().catch(() => {})
    await this.parts.arrivals.close()
    await this.parts.close()
  }

  /** Those that did not get a slot before the end. */
  private async giveBackUnstarted(): Promise<void> {
    const outcome: Outcome = { state: 'released', delay: 0, reason: 'The worker stopped before the job began.' }
    const { unstarted } = this.hand
    await this.settle(
      unstarted.map((job) => ({ job, outcome })),
      new Map(),
    )
    this.hand.letGo(unstarted)
  }

  /** A claim of a worker that is not on the list would be taken for a dead one's. */
  private async enter(): Promise<void> {
    if (this.heartbeat && performance.now() - this.lastContact <= this.lease) return
    if (!this.heartbeat && !this.options.once) await this.parts.jobs.check()
    const wasListed = await this.parts.jobs.beat()
    this.lastContact = performance.now()
    if (this.heartbeat) {
      if (!wasListed) this.beUnsure()
      return
    }
    this.heartbeat = this.parts.startHeartbeat(() => this.beUnsure())
    await this.lookAround()
  }

  private async untilItBeats(): Promise<void> {
    const over = new AbortController()
    const late = sleep(BEATS_WITHIN, over.signal).then(() => 'late' as const)
    const first = await Promise.race([this.heartbeat?.firstBeat, late]).finally(() => over.abort())
    if (first === 'late') throw new StoreUnavailableError("The worker's heartbeat has not reached the database yet.")
  }

  private isRemoved({ outcome }: FinishedJob<HeldRow>): boolean {
    return outcome.state === 'completed' && this.host.keepCompleted === 0
  }

  /** Returns what this worker has lost; what the database does not take, not even in plain words, is `refused`. */
  private async settle(
    finished: readonly FinishedJob<HeldRow>[],
    refused: Map<HeldRow, unknown>,
  ): Promise<Set<HeldRow>> {
    if (finished.length === 0) return new Set()
    const lost = new Set<HeldRow>()
    const settled = async (some: readonly FinishedJob<HeldRow>[], worded = (each: Settlement) => each) => {
      const settlements = some.map(({ job, outcome }) => ({ ...fenceOf(job), ...worded(settlementOf(outcome, job)) }))
      const ids = await this.parts.jobs.settle(settlements)
      for (const { job, isRepeated } of some) if (!isRepeated && !ids.has(job.id)) lost.add(job)
      return some
    }
    const offenders: FinishedJob<HeldRow>[] = []
    await runApart(finished, settled, (each) => void offenders.push(each))
    for (const offender of offenders) {
      await runApart(
        [offender],
        (some) => settled(some, plain),
        ({ job }, error) => void refused.set(job, error),
      )
    }
    return lost
  }

  /** Returns whether nothing else is due. Every claim is in the hand at once: if the next statement fails, it is not lost. */
  private async removeAndClaim(
    finished: readonly FinishedJob<HeldRow>[],
    slots: number,
    lost: Set<HeldRow>,
    refused: Map<HeldRow, unknown>,
  ): Promise<boolean> {
    const free = Math.max(0, slots - this.hand.unstarted.length)
    // Before the others: a backlog leaves no slot.
    const taken = await this.claimSuspects(finished, free)
    const removed = finished.filter((each) => this.isRemoved(each))
    const isAll = await this.removeAndLook(removed, free - taken, lost, refused)
    if (isAll) await this.claimSuspects(finished, Math.max(0, slots - this.hand.unstarted.length))
    return isAll
  }

  private async removeAndLook(
    done: readonly FinishedJob<HeldRow>[],
    slots: number,
    lost: Set<HeldRow>,
    refused: Map<HeldRow, unknown>,
  ): Promise<boolean> {
    const levels = this.levels.marks
    const remove = async (some: readonly FinishedJob<HeldRow>[], free: number) => {
      const reply = await this.look({ done: some.map(({ job }) => job.claim), slots: free, levels })
      for (const { job, isRepeated } of some) if (!isRepeated && reply.lost.has(job.id)) lost.add(job)
      return reply
    }
    const reply = await remove(done, slots).catch(async (error: unknown) => {
      if (done.length === 0 || !isRefusal(error)) throw error
      const one = async (some: readonly FinishedJob<HeldRow>[]) => {
        await remove(some, 0)
        return some
      }
      await runApart(done, one, ({ job }, reason) => void refused.set(job, reason))
      return remove([], slots)
    })
    if (levels === undefined || reply.claimed.length === slots) return reply.claimed.length < slots
    const hasFound = reply.claimed.length > 0
    if (this.options.once) return !hasFound && this.lookAnew(slots)
    // Those that were found begin first.
    if (!hasFound && this.levels.untilAnew === 0) return this.lookAnew(slots)
    this.nextDue = Math.min(this.nextDue, performance.now() + this.levels.untilAnew)
    return true
  }

  /** Nothing from the marks on: whether there is nothing at all, a look without them tells. */
  private async lookAnew(slots: number): Promise<boolean> {
    const reply = await this.look({ done: [], slots })
    return reply.claimed.length < slots
  }

  private async look({ done, slots, levels }: Omit<ExchangeRequest, 'lease'>): Promise<ExchangeReply> {
    this.heard = false
    const start = performance.now()
    const reply = await this.parts.jobs.exchange({ done, slots, lease: ++this.leases, levels })
    const now = performance.now()
    this.hand.take(reply.claimed, false, reply.read)
    if (now - start > this.lease) this.isUnsure = true // by now, others may have taken it for dead
    this.lastContact = start
    if (slots > 0) this.levels.looked(levels === undefined, now - start, reply)
    this.nextDue = now + Math.min(Infinity, ...reply.levels.map(({ wait }) => wait).filter((wait) => wait > 0))
    this.suspectLevels = reply.levels.filter(({ suspect, wait }) => suspect > 0 && wait <= 0)
    return reply
  }

  /**
   * Of the jobs whose worker has died, those that may well be innocent run together in up to half of the slots. One that
   * was there at a second death, or that has no attempt to lose, runs beside no other suspect: when it kills again,
   * nobody else is suspected. Returns how many it has claimed.
   */
  private async claimSuspects(finished: readonly FinishedJob<HeldRow>[], free: number): Promise<number> {
    if (free === 0 || this.suspectLevels.length === 0) return 0
    const levels = [...this.suspectLevels].sort((a, b) => this.rank(a) - this.rank(b) || a.wait - b.wait)
    const running = this.hand.suspects(jobsOf(finished))
    if (running.some(({ claim }) => claim.suspect > 1)) return 0
    let room = Math.min(free, Math.max(1, Math.floor((this.options.concurrency ?? 1) / 2)) - running.length)
    let claimed = 0
    const claim = async (level: Level, limit: number) => {
      const rows = await this.parts.jobs.claimSuspects(level, limit, ++this.leases)
      this.hand.take(rows)
      room -= rows.length
      claimed += rows.length
    }
    for (const level of levels) if (level.suspect === 1 && room > 0) await claim(level, room)
    for (const level of levels) if (level.suspect > 1 && running.length + claimed === 0) await claim(level, 1)
    return claimed
  }

  private rank({ queue, priority }: Level): number {
    return this.options.queues === '*' ? priority : this.options.queues.indexOf(queue)
  }

  /** Every few seconds: says that it lives, and looks for those who do not. */
  private async lookAround(): Promise<void> {
    if (this.isLooking || !this.heartbeat) return
    this.isLooking = true
    const start = performance.now()
    try {
      if (!(await this.parts.jobs.beat())) this.beUnsure()
      const taken = await this.parts.jobs.reap(++this.leases)
      this.lastContact = start
      this.hand.take(taken, true)
      if (start < this.unsureUntil) this.isUnsure = true
      // Whom a drain waits for may have come back, or somebody else has taken over.
      if (this.hasNews || this.options.once) this.changed()
      if (this.host.keepCompleted > 0) await this.prune()
    } catch (error) {
      if (this.isClosed) return
      this.host.logger.debug({ err: error }, 'the database did not answer a look around')
      this.beUnsure()
      if (performance.now() - this.lastContact <= this.lease) return
      this.hand.loseAll()
    } finally {
      this.isLooking = false
    }
  }

  private async prune(): Promise<void> {
    while (!this.isClosed && !(await this.parts.jobs.prune(this.host.keepCompleted)));
  }

  /** A statement whose answer was lost may still arrive at the table: the doubt lasts for a while. */
  private beUnsure(): void {
    this.isUnsure = true
    this.unsureUntil = performance.now() + this.lease
    this.levels.forget()
    this.changed()
  }

  /** Compares what this worker holds with what the table says. */
  private async reconcile(finished: readonly FinishedJob<HeldRow>[]): Promise<void> {
    const rows = await this.parts.jobs.held()
    this.isUnsure = false
    this.hand.compare(rows, jobsOf(finished))
  }

  private arrived(job?: Arrival): void {
    const { queues } = this.options
    if (job && queues !== '*' && !queues.includes(job.queue)) return
    if (!job || !this.levels.knows(job.queue, job.priority)) this.levels.forget()
    this.heard = true
    this.wake()
  }
}

function fenceOf({ claim: { id, lease } }: HeldRow): Fence {
  return { id, lease }
}

function jobsOf(finished: readonly FinishedJob<HeldRow>[]): Set<HeldRow> {
  return new Set(finished.map(({ job }) => job))
}
