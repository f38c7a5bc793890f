import type { Logger } from '../../logger'
import { after, sleep, withResolver } from '../../concurrency/sleep'
import { removeFrom } from '../../concurrency/remove-from'
import { textOf } from '../../reporting/text-of'
import { DefectGrace } from './defect-grace'
import type { ClaimedJob, Consumption, ConsumeOptions, Execute } from '../contract/consumable'
import type { Outcome } from '../contract/outcome'
import { soundOutcome } from './sound-outcome'

/** A store of jobs as the consumption loop needs it. */
export interface JobStore<Job extends ClaimedJob = ClaimedJob> {
  /** Applies what has finished and claims up to `slots` due jobs, in one go where it can. */
  acknowledgeAndClaim(finished: readonly FinishedJob<Job>[], slots: number): Promise<AcknowledgedAndClaimed<Job>>
  /** Resolves when there may be something due, or `signal` aborts. */
  wait(signal: AbortSignal): Promise<void>
  /** True when the store must be asked even without a free slot, because workers have died or leases may be lost. */
  readonly hasNews?: boolean
  /** False while a drain should wait for the jobs of workers that seem to have died. Default true. */
  isDrained?(): Promise<boolean>
  /** Connections of its own. */
  readonly connections?: number
  /** How long this worker may be without contact, in ms, before other workers take over its jobs; default 20 s. */
  readonly lease?: number
  /** Calls `changed` when `hasNews` becomes true. */
  onNews?(changed: () => void): void
  /** Called once the loop has ended. */
  close(): void | Promise<void>
}

export interface FinishedJob<Job extends ClaimedJob = ClaimedJob> {
  readonly job: Job
  readonly outcome: Outcome
  /** It was sent before without an answer, so a missing row does not mean that the lease was lost. */
  readonly isRepeated?: boolean
}

export interface AcknowledgedAndClaimed<Job extends ClaimedJob = ClaimedJob> {
  readonly claimed: readonly Job[]
  /** Finished jobs whose lease this worker had lost. */
  readonly leaseLost: ReadonlySet<Job>
  /** Finished jobs whose outcome the store has refused, with the reason. */
  readonly refused?: ReadonlyMap<Job, unknown>
  /** No other job was due, so the store need not be asked again before it has news. */
  readonly isAll?: boolean
}

const MIN_RETRY_DELAY = 100
const MAX_RETRY_DELAY = 5_000
/** How long a stop waits for the store after its deadline, in ms. */
const GRACE = 500
const USUAL_LEASE = 20_000
/** Made once, because the default reason of an abort is a new error with a stack each time. */
const WOKEN = new Error('woken')

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
  private readonly running: Job[] = []
  private outcomes: FinishedJob<Job>[] = []
  /** Released jobs of a drain, which stay claimed until the end so that the drain does not claim them again. */
  private heldBack: FinishedJob<Job>[] = []
  /** How often the store has refused the outcome of a job. Such a job waits for its next try, and holds up no others. */
  private readonly refusals = new Map<Job, number>()
  /** The first refused outcome of a drain, which rejects with it in the end. */
  private firstRefusal: { readonly error: unknown } | undefined
  private readonly retries = new Set<NodeJS.Timeout>()
  private readonly defects = new DefectGrace()
  private isStopping = false
  private isHandedBack = false
  private hasEnded = false
  /** Until when a stop waits for running jobs, in ms since the epoch. */
  private deadline = Infinity
  private pauses = 0
  /** Since when the store has failed, by `performance.now()`. */
  private failingSince: number | undefined
  /** Ends an idle time or a pause. */
  private wake: AbortController | undefined
  /** Made only while something waits for it. */
  private nextChange: ReturnType<typeof withResolver> | undefined

  constructor(
    private readonly store: JobStore<Job>,
    private readonly options: ConsumeOptions,
    private readonly execute: Execute,
    private readonly logger: Logger,
  ) {
    this.concurrency = options.concurrency ?? 1
    store.onNews?.(() => this.changed())
    this.finished = this.loop()
      .finally(() => (this.hasEnded = true))
      .finally(() => this.close())
    // The caller handles `finished`; a rejection before that must not count as unhandled.
    this.finished.catch(() => {})
  }

  get connections(): number | undefined {
    return this.store.connections
  }

  async stop(deadline: number, { exiting = false }: { exiting?: boolean } = {}): Promise<void> {
    this.isStopping = true
    this.deadline = deadline
    this.changed()
    await within(deadline - Date.now(), this.finished)
    // The store need not answer, because the leases end with this process.
    if (exiting && !this.hasEnded) await within(GRACE, this.handBack())
  }

  private async loop(): Promise<void> {
    while (!this.isOver) {
      const slots = this.isStopping ? 0 : Math.max(0, this.concurrency - this.running.length)
      if (slots === 0 && this.outcomes.length === 0 && !this.store.hasNews) {
        await this.untilChanged()
        continue
      }
      const reply = await this.acknowledgeAndClaim(slots)
      if (!reply) continue
      const mayBeMore = (reply.claimed.length > 0 && !reply.isAll) || this.store.hasNews
      if (mayBeMore || this.outcomes.length > 0 || this.isOver) continue
      if (this.options.once && this.running.length === 0 && (await this.isDrained())) break
      await this.idle()
    }
    await this.releaseHeldBack()
    if (this.firstRefusal) throw this.firstRefusal.error
  }

  private get isOver(): boolean {
    return this.isHandedBack || (this.isStopping && this.running.length === 0 && this.outcomes.length === 0)
  }

  private async isDrained(): Promise<boolean> {
    return this.isStopping || (await this.store.isDrained?.()) !== false
  }

  private async acknowledgeAndClaim(slots: number): Promise<AcknowledgedAndClaimed<Job> | undefined> {
    const finished = this.outcomes
    this.outcomes = []
    let reply: AcknowledgedAndClaimed<Job>
    try {
      reply = await this.store.acknowledgeAndClaim(finished, slots)
    } catch (error) {
      // Whether the store has the outcomes is unknown: they are sent again.
      this.outcomes = [...finished.map((each) => ({ ...each, isRepeated: true })), ...this.outcomes]
      if (this.options.once || this.defects.endsWorker(error)) throw error
      this.failingSince ??= performance.now()
      if (this.isPastHope) this.abandonOutcomes(error)
      else await this.pause(error)
      return undefined
    }
    this.failingSince = undefined
    this.pauses = 0
    this.defects.worked()
    this.start(reply.claimed)
    this.firstContact.resolve()
    this.report(finished, reply)
    return reply
  }

  /** The worker has stopped, and was without contact for so long that other workers may have taken over its jobs. */
  private get isPastHope(): boolean {
    const { lease = USUAL_LEASE } = this.store
    const failing = performance.now() - (this.failingSince ?? Infinity)
    return this.isStopping && Date.now() >= this.deadline && failing >= lease
  }

  /** Drops outcomes, so that a store that stays away does not keep the process alive. */
  private abandonOutcomes(error: unknown): void {
    const jobs = this.outcomes.map(({ job }) => job.id)
    this.outcomes = []
    this.log('error', { err: error, jobs }, 'the outcomes of jobs could not be stored in time: they will run again')
  }

  private report(finished: readonly FinishedJob<Job>[], { leaseLost, refused }: AcknowledgedAndClaimed<Job>): void {
    for (const each of finished) {
      const { job, outcome } = each
      if (refused?.has(job)) this.putAside(each, refused.get(job))
      else if (leaseLost.has(job)) this.notify(() => this.options.leaseLost(job))
      else this.notify(() => this.options.applied(job, outcome))
    }
    for (const { job } of finished) if (!refused?.has(job)) this.refusals.delete(job)
  }

  /** Its job stays claimed by this worker, without a slot, until the store takes the outcome. */
  private putAside(refused: FinishedJob<Job>, error: unknown): void {
    const { job } = refused
    const tries = this.refusals.get(job) ?? 0
    this.refusals.set(job, tries + 1)
    const delay = pauseAfter(tries)
    this.log('error', { err: error, job: job.id, retryIn: delay }, 'the store refuses the outcome of a job')
    if (this.options.once) this.firstRefusal ??= { error }
    if (this.options.once || this.isStopping) return
    const timer = setTimeout(() => {
      this.retries.delete(timer)
      this.outcomes.push(refused)
      this.changed()
    }, delay)
    this.retries.add(timer)
  }

  private start(jobs: readonly Job[]): void {
    this.running.push(...jobs)
    for (const job of jobs) if (!this.isHandedBack) this.run(job)
  }

  private run(job: Job): void {
    const failed = (error: unknown) => this.ended(job, { state: 'failed', error })
    try {
      this.execute(job).then((outcome) => this.ended(job, soundOutcome(outcome)), failed)
    } catch (error) {
      failed(error)
    }
  }

  private ended(job: Job, outcome: Outcome): void {
    removeFrom(this.running, job)
    if (this.isHandedBack) return
    const isHeld = this.options.once && outcome.state === 'released'
    ;(isHeld ? this.heldBack : this.outcomes).push({ job, outcome })
    this.changed()
  }

  private changed(): void {
    this.wake?.abort(WOKEN)
    this.nextChange?.resolve()
    this.nextChange = undefined
  }

  private untilChanged(): Promise<void> {
    return (this.nextChange ??= withResolver()).promise
  }

  /** Until a job ends or the store has news. */
  private async idle(): Promise<void> {
    // Only a drain or a stop has nothing to ask of the store here.
    if (this.options.once || this.isStopping) return this.untilChanged()
    this.wake = new AbortController()
    try {
      await this.store.wait(this.wake.signal)
    } catch (error) {
      return this.pause(error)
    }
    this.wake = undefined
  }

  private async pause(error: unknown): Promise<void> {
    const delay = pauseAfter(this.pauses++)
    this.log('error', { err: error, retryIn: delay }, 'the job store cannot be reached')
    this.wake = new AbortController()
    await sleep(Math.min(delay, this.store.lease ?? USUAL_LEASE), this.isStopping ? undefined : this.wake.signal)
    this.wake = undefined
  }

  private async releaseHeldBack(): Promise<void> {
    const held = this.heldBack
    this.heldBack = []
    if (held.length > 0) this.report(held, await this.store.acknowledgeAndClaim(held, 0))
  }

  /** Releases the jobs that still run, because the process exits right after this and they end with it. */
  private async handBack(): Promise<void> {
    this.isHandedBack = true
    const outcome: Outcome = { state: 'released', delay: 0, reason: 'The worker stopped in the middle of the job.' }
    const finished = [...this.outcomes, ...this.running.map((job) => ({ job, outcome }))]
    this.outcomes = []
    try {
      this.report(finished, await this.store.acknowledgeAndClaim(finished, 0))
    } catch (error) {
      this.log(
        'error',
        { err: error, jobs: finished.length },
        'jobs could not be handed back; their lease ends with this process',
      )
    }
    this.changed()
  }

  private async close(): Promise<void> {
    for (const timer of this.retries) clearTimeout(timer)
    try {
      await this.store.close()
    } catch (error) {
      this.log('warn', { err: error }, 'the job store did not close')
    }
  }

  /** Calls a listener of the application, whose errors are only logged. */
  private notify(work: () => unknown): void {
    const report = (error: unknown) =>
      this.log('error', { reason: textOf(error) }, 'a listener has thrown: the job itself is not affected')
    try {
      const result = work()
      if (result instanceof Promise) result.catch(report)
    } catch (error) {
      report(error)
    }
  }

  private log(level: 'warn' | 'error', fields: object, message: string): void {
    try {
      this.logger[level](fields, message)
    } catch {
      // There is no other place to report a logger that throws, and the jobs do not depend on it.
    }
  }
}

/** ms */
function pauseAfter(tries: number): number {
  return Math.min(MIN_RETRY_DELAY * 2 ** tries, MAX_RETRY_DELAY)
}

/** Resolves when `work` has ended in any way, or after `delay` ms. */
async function within(delay: number, work: Promise<unknown>): Promise<void> {
  const passed = withResolver()
  const callOff = after(delay, passed.resolve)
  await Promise.race([work.catch(() => {}), passed.promise])
  callOff()
}
