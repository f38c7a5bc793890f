import type { Logger } from '../../logger'
import { after, sleep, withResolver } from '../../concurrency/sleep'
import { guarded } from '../../reporting/guarded-logger'
import type { ClaimedJob, Consumption, ConsumeOptions, Execute } from '../contract/consumable'
import { Changes } from './changes'
import type { AcknowledgedAndClaimed, FinishedJob, JobStore } from './job-store'
import { Listeners } from './listeners'
import { RefusedOutcomes } from './refused-outcomes'
import { RunningJobs } from './running-jobs'
import { StoreOutage } from './store-outage'
import { UnsentOutcomes } from './unsent-outcomes'

/** How long a stop waits for the store after its deadline, in ms. */
const GRACE = 500
const USUAL_LEASE = 20_000

/**
 * The loop of every handler that keeps jobs in a store of its own. It claims jobs for free slots only, starts claimed jobs
 * at once, and sends every outcome along with the next claim.
 *
 * The store, the executor, listeners and the logger may all throw. None of them can end the loop, or keep claimed jobs from
 * running, because jobs are started before anything else is called.
 */
export class StoreConsumption<Job extends ClaimedJob> implements Consumption {
  readonly finished: Promise<void>
  /** Jobs at a time; default 1, which is right on any data source. */
  readonly concurrency: number
  private readonly firstContact = withResolver()
  readonly ready = this.firstContact.promise
  private readonly logger: Logger
  private readonly changes = new Changes()
  private readonly running: RunningJobs<Job>
  private readonly outcomes: UnsentOutcomes<Job>
  private readonly refused: RefusedOutcomes<Job>
  private readonly outage = new StoreOutage()
  private readonly listeners: Listeners
  /** Until when a stop waits for running jobs, in ms since the epoch. Undefined while nothing stops this worker. */
  private deadline: number | undefined
  private isHandedBack = false
  private hasEnded = false

  constructor(
    private readonly store: JobStore<Job>,
    private readonly options: ConsumeOptions,
    execute: Execute,
    logger: Logger,
  ) {
    this.concurrency = options.concurrency ?? 1
    this.logger = guarded(logger)
    this.running = new RunningJobs(execute, (job, outcome) => this.addOutcome({ job, outcome }))
    this.outcomes = new UnsentOutcomes(options.once)
    this.refused = new RefusedOutcomes((refused) => this.addOutcome(refused), this.logger)
    this.listeners = new Listeners(options, this.logger)
    store.onNews?.(() => this.changes.changed())
    this.finished = this.loop()
      .finally(() => (this.hasEnded = true))
      .finally(() => this.close())
    // The caller handles `finished`; a rejection before that must not count as unhandled.
    this.finished.catch(() => {})
  }

  private async loop(): Promise<void> {
    while (!this.isOver) {
      const slots = this.isStopping ? 0 : Math.max(0, this.concurrency - this.running.count)
      if (slots === 0 && this.outcomes.isEmpty && !this.store.hasNews) {
        await this.changes.untilNext()
        continue
      }
      const reply = await this.acknowledgeAndClaim(slots)
      if (!reply) continue
      const mayBeMore = (reply.claimed.length > 0 && !reply.isAll) || this.store.hasNews
      if (mayBeMore || !this.outcomes.isEmpty || this.isOver) continue
      if (this.options.once && this.running.count === 0 && (await this.isDrained())) break
      await this.idle()
    }
    await this.releaseHeldBack()
    if (this.options.once && this.refused.first) throw this.refused.first.error
  }

  private get isOver(): boolean {
    return this.isHandedBack || (this.isStopping && this.running.count === 0 && this.outcomes.isEmpty)
  }

  private get isStopping(): boolean {
    return this.deadline !== undefined
  }

  private async isDrained(): Promise<boolean> {
    return this.isStopping || (await this.store.isDrained?.()) !== false
  }

  private async acknowledgeAndClaim(slots: number): Promise<AcknowledgedAndClaimed<Job> | undefined> {
    const finished = this.outcomes.take()
    let reply: AcknowledgedAndClaimed<Job>
    try {
      reply = await this.store.acknowledgeAndClaim(finished, slots)
    } catch (error) {
      this.outcomes.sendAgain(finished)
      if (this.options.once || this.outage.endsWorker(error)) throw error
      this.outage.failed()
      if (this.isPastHope) this.abandonOutcomes(error)
      else await this.pause(error)
      return undefined
    }
    this.outage.answered()
    this.running.start(reply.claimed)
    this.firstContact.resolve()
    this.report(finished, reply)
    return reply
  }

  private report(finished: readonly FinishedJob<Job>[], { leaseLost, refused }: AcknowledgedAndClaimed<Job>): void {
    for (const each of finished) {
      const { job, outcome } = each
      if (refused?.has(job)) {
        this.refused.add(each, refused.get(job), this.options.once || this.isStopping)
        continue
      }
      this.refused.remove(job)
      if (leaseLost.has(job)) this.listeners.leaseLost(job)
      else this.listeners.applied(job, outcome)
    }
  }

  private addOutcome(finished: FinishedJob<Job>): void {
    this.outcomes.add(finished)
    this.changes.changed()
  }

  /** Until a job ends or the store has news. */
  private async idle(): Promise<void> {
    // Only a drain or a stop has nothing to ask of the store here.
    if (this.options.once || this.isStopping) return this.changes.untilNext()
    try {
      await this.store.wait(this.changes.beginIdle())
    } catch (error) {
      return this.pause(error)
    }
    this.changes.endIdle()
  }

  private async pause(error: unknown): Promise<void> {
    const delay = this.outage.nextPause()
    this.logger.error({ err: error, retryIn: delay }, 'the job store cannot be reached')
    const signal = this.changes.beginIdle()
    await sleep(Math.min(delay, this.lease), this.isStopping ? undefined : signal)
    this.changes.endIdle()
  }

  private get lease(): number {
    return this.store.lease ?? USUAL_LEASE
  }

  /** The worker has stopped, and was without contact for so long that other workers may have taken over its jobs. */
  private get isPastHope(): boolean {
    return this.deadline !== undefined && Date.now() >= this.deadline && this.outage.hasLasted(this.lease)
  }

  /** Drops outcomes, so that a store that stays away does not keep the process alive. */
  private abandonOutcomes(error: unknown): void {
    const jobs = this.outcomes.take().map(({ job }) => job.id)
    this.logger.error({ err: error, jobs }, 'the outcomes of jobs could not be stored in time: they will run again')
  }

  private async releaseHeldBack(): Promise<void> {
    const held = this.outcomes.takeHeldBack()
    if (held.length > 0) this.report(held, await this.store.acknowledgeAndClaim(held, 0))
  }

  get connections(): number | undefined {
    return this.store.connections
  }

  async stop(deadline: number, { exiting = false }: { exiting?: boolean } = {}): Promise<void> {
    this.deadline = deadline
    this.changes.changed()
    await within(deadline - Date.now(), this.finished)
    // The store need not answer, because the leases end with this process.
    if (exiting && !this.hasEnded) await within(GRACE, this.handBack())
  }

  /** Stores what has ended and releases what still runs, because the process exits right after this. */
  private async handBack(): Promise<void> {
    this.isHandedBack = true
    const finished = [...this.outcomes.take(), ...this.running.handBack()]
    try {
      this.report(finished, await this.store.acknowledgeAndClaim(finished, 0))
    } catch (error) {
      const jobs = finished.length
      this.logger.error({ err: error, jobs }, 'jobs could not be handed back; their lease ends with this process')
    }
    this.changes.changed()
  }

  private async close(): Promise<void> {
    this.refused.close()
    try {
      await this.store.close()
    } catch (error) {
      this.logger.warn({ err: error }, 'the job store did not close')
    }
  }
}

/** Resolves when `work` has ended in any way, or after `delay` ms. */
async function within(delay: number, work: Promise<unknown>): Promise<void> {
  const passed = withResolver()
  const callOff = after(delay, passed.resolve)
  await Promise.race([work.catch(() => {}), passed.promise])
  callOff()
}
