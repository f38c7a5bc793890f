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
  /** It wants to be asked, even without a free slot, because there are jobs of dead workers, or leases may be lost. */
  readonly hasNews?: boolean
  /** False: a drain that waits gets more, from workers that seem to have died. Default true. */
  isDrained?(): Promise<boolean>
  /** Connections of its own. */
  readonly connections?: number
  /** ms without contact after which others take this worker's jobs over; default 20 s. */
  readonly lease?: number
  /** Calls `changed` when it has. */
  onNews?(changed: () => void): void
  /** Called once the loop has ended. */
  close(): void | Promise<void>
}

export interface FinishedJob<Job extends ClaimedJob = ClaimedJob> {
  readonly job: Job
  readonly outcome: Outcome
  /** It was sent before, and nobody knows whether it arrived: finding nothing then is no loss. */
  readonly isRepeated?: boolean
}

export interface AcknowledgedAndClaimed<Job extends ClaimedJob = ClaimedJob> {
  readonly claimed: readonly Job[]
  /** Finished jobs that this worker had lost. */
  readonly leaseLost: ReadonlySet<Job>
  /** Finished jobs whose outcome the store does not take, though it takes those of others, and why. */
  readonly refused?: ReadonlyMap<Job, unknown>
  /** Nothing else was due: there is no need to ask again before the store has news. */
  readonly isAll?: boolean
}

const MIN_RETRY_DELAY = 100
const MAX_RETRY_DELAY = 5_000
/** How long a stop that is over waits for the store, in ms. */
const GRACE = 500
const USUAL_LEASE = 20_000
/** A reason at hand: the default one is made, with its stack, at every abort. */
const WOKEN = new Error('woken')

/**
 * The loop of every handler that keeps jobs in a store of its own: claim free slots only, start what was
 * claimed at once, and take every outcome along with the next claim.
 *
 * Everything that is called from here belongs to somebody else: the store, the executor, listeners, the logger. None of
 * them can end the loop, or keep what was claimed from running: jobs are started before anything is told of them.
 */
export class StoreConsumption<Job extends ClaimedJob> implements Consumption {
  readonly finished: Promise<void>
  /** One where nobody says, which is right on any data source. */
  readonly concurrency: number
  private readonly firstContact = withResolver()
  readonly ready = this.firstContact.promise
  private readonly running: Job[] = []
  private outcomes: FinishedJob<Job>[] = []
  /** In a drain: released jobs stay claimed until the end, so that it does not take them again. */
  private heldBack: FinishedJob<Job>[] = []
  /** Outcomes that the store has refused wait for their next try, and hold up no others. */
  private readonly refusals = new Map<Job, number>()
  /** Of a drain, which says so in the end. */
  private firstRefusal: { readonly error: unknown } | undefined
  private readonly retries = new Set<NodeJS.Timeout>()
  private readonly defects = new DefectGrace()
  private isStopping = false
  private isHandedBack = false
  private hasEnded = false
  /** When a stop is over, in ms since the epoch. */
  private deadline = Infinity
  private pauses = 0
  /** Since when the store has failed, by `performance.now()`. */
  private failingSince: number | undefined
  /** Ends an idle time or a pause. */
  private wake: AbortController | undefined
  /** Made for whoever waits for it. */
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
    // Whoever started the consumption looks at `finished`; a rejection before that is not unhandled.
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
    // What the store does not answer is not waited for: the lease ends with this process.
    if (exiting && !this.hasEnded) await within(GRACE, this.handBack())
  }

  private async loop(): Promise<void> {
    while (!this.isOver) {
      const slots = this.isStopping ? 0 : Math.max(0, this.concurrency - this.running.length)
      if (slots === 0 && this.outcomes.length === 0 && !this.store.hasNews) {
        await this.untilChanged()
        continue
      }
      const exchanged = await this.acknowledgeAndClaim(slots)
      if (!exchanged) continue
      const mayBeMore = (exchanged.claimed.length > 0 && !exchanged.isAll) || this.store.hasNews
      if (mayBeMore || this.outcomes.length > 0 || this.isOver) continue
      if (this.options.once && this.running.length === 0 && (await this.isDrained())) break
      await this.idle()
    }
    await this.giveBackHeld()
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
    let exchanged: AcknowledgedAndClaimed<Job>
    try {
      exchanged = await this.store.acknowledgeAndClaim(finished, slots)
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
    this.start(exchanged.claimed)
    this.firstContact.resolve()
    this.report(finished, exchanged)
    return exchanged
  }

  /** Stopped, and out of touch for so long that others may have taken over what it holds: nobody waits for its outcomes. */
  private get isPastHope(): boolean {
    const { lease = USUAL_LEASE } = this.store
    const failing = performance.now() - (this.failingSince ?? Infinity)
    return this.isStopping && Date.now() >= this.deadline && failing >= lease
  }

  /** So that a store that stays away does not keep the process alive. */
  private abandonOutcomes(error: unknown): void {
    const jobs = this.outcomes.map(({ job }) => job.id)
    this.outcomes = []
    this.log('error', { err: error, jobs }, 'the outcomes of jobs could not be stored in time: they will run again')
  }

  private report(finished: readonly FinishedJob<Job>[], { leaseLost, refused }: AcknowledgedAndClaimed<Job>): void {
    for (const each of finished) {
      const { job, outcome } = each
      if (refused?.has(job)) this.putAside(each, refused.get(job))
      else if (leaseLost.has(job)) this.tell(() => this.options.lost(job))
      else this.tell(() => this.options.applied(job, outcome))
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
    // Only a drain, or a stop, can be here with nothing to ask of the store.
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

  private async giveBackHeld(): Promise<void> {
    const held = this.heldBack
    this.heldBack = []
    if (held.length > 0) this.report(held, await this.store.acknowledgeAndClaim(held, 0))
  }

  /** The process exits right after this: what still runs ends with it, and may be given back. */
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

  /** Calls what the application listens and logs with. */
  private tell(work: () => unknown): void {
    const report = (error: unknown) =>
      this.log('error', { reason: textOf(error) }, 'what was told of a job has thrown: the job itself is not affected')
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
      // A logger that throws has nobody to tell it to, and the jobs do not depend on it.
    }
  }
}

/** ms */
function pauseAfter(tries: number): number {
  return Math.min(MIN_RETRY_DELAY * 2 ** tries, MAX_RETRY_DELAY)
}

/** Resolves with the end of `work`, whatever it is, or after `delay` ms. */
async function within(delay: number, work: Promise<unknown>): Promise<void> {
  const passed = withResolver()
  const callOff = after(delay, passed.resolve)
  await Promise.race([work.catch(() => {}), passed.promise])
  callOff()
}
