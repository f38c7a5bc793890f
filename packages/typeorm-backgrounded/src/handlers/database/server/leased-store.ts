import type { BuiltInConsumeOptions, BuiltInHost } from '../../contract/built-in'
import type { Heartbeat } from '../../heartbeat/heartbeat'
import { ProgressWrites, type Progress } from '../../consumption/progress-writes'
import type { AcknowledgedAndClaimed, FinishedJob, JobStore } from '../../consumption/job-store'
import type { InFlightRow } from '../claimed-row'
import { Acknowledgement } from './acknowledgement'
import type { Arrival, Arrivals } from './arrivals'
import { Claims } from './claims'
import { Contact } from '../../consumption/contact'
import { IdleTime } from './idle-time'
import { InFlightJobs } from './in-flight-jobs'
import { LeaseNumbers } from './lease-numbers'
import type { Fence, LeasedJobs } from './leased-jobs'
import { Reaper } from './reaper'
import { UnknownAnswers } from './unknown-answers'
import { WorkerPresence } from './worker-presence'

export interface LeasedStoreParts {
  readonly jobs: LeasedJobs
  readonly arrivals: Arrivals
  /** Starts the heartbeat of this worker; called once the worker is in the table of workers. */
  readonly startHeartbeat: (onGap: () => void) => Heartbeat
  /** Closes the connection. */
  readonly close: () => Promise<void>
}

/** What one worker does with the jobs of one data source on a database server. */
export class LeasedStore implements JobStore<InFlightRow> {
  /** One for statements, and one for the heartbeat's thread. */
  readonly connections: number
  private readonly progress: ProgressWrites<Fence>
  private readonly inFlight: InFlightJobs
  private readonly unknown: UnknownAnswers
  private readonly idle: IdleTime
  private readonly presence: WorkerPresence
  private readonly claims: Claims
  private readonly reaper: Reaper
  private changed = () => {}

  constructor(
    private readonly host: BuiltInHost,
    private readonly parts: LeasedStoreParts,
    private readonly options: BuiltInConsumeOptions,
    /** In ms. */
    readonly lease: number,
  ) {
    const { jobs, arrivals, startHeartbeat } = parts
    this.connections = options.once ? 1 : 2
    const store = (values: readonly Progress<Fence>[]) =>
      jobs.storeProgress(values.map(({ claim: { id, lease }, progress }) => ({ id, lease, progress })))
    this.progress = new ProgressWrites(store, host.logger)
    const inFlight = new InFlightJobs((fence, value) => this.progress.set(fence, value))
    const unknown = new UnknownAnswers(lease, () => this.answerIsUnknown())
    const idle = new IdleTime(options.pollInterval)
    const contact = new Contact(lease)
    const leases = new LeaseNumbers()
    const presence = new WorkerPresence(jobs, contact, unknown, startHeartbeat)
    this.inFlight = inFlight
    this.unknown = unknown
    this.idle = idle
    this.presence = presence
    this.claims = new Claims({ jobs, inFlight, leases, contact, unknown, idle, options, lease })
    const onReaped = () => this.hasReaped()
    this.reaper = new Reaper({ jobs, inFlight, leases, contact, unknown, presence, host, lease, onReaped })
    arrivals.onArrival((job) => this.arrived(job))
  }

  async acknowledgeAndClaim(
    finished: readonly FinishedJob<InFlightRow>[],
    slots: number,
  ): Promise<AcknowledgedAndClaimed<InFlightRow>> {
    const keepsCompleted = this.host.keepCompleted > 0
    try {
      if (await this.presence.enter(!this.options.once)) await this.reaper.reapAndPrune()
      if (slots > 0) await this.presence.untilFirstBeat()
      const acknowledgement = new Acknowledgement(finished, keepsCompleted)
      if (this.unknown.hasAny) await this.reconcile(acknowledgement)
      await this.progress.beforeTheEnd(finished, keepsCompleted)
      await acknowledgement.storeOutcomes(this.parts.jobs)
      const isAll = await this.claims.removeAndClaim(acknowledgement, slots)
      if (this.unknown.hasAny) await this.reconcile(acknowledgement)
      this.inFlight.remove(acknowledgement.ended)
      const claimed = this.inFlight.start(slots)
      if (claimed.length + finished.length > 0) this.idle.hasWorked()
      if (claimed.length > 0) this.presence.isRunning(this.inFlight.names)
      return { leaseLost: acknowledgement.leaseLost, refused: acknowledgement.refused, claimed, isAll }
    } catch (error) {
      this.unknown.add()
      throw error
    }
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (!this.hasNews) await this.idle.pass(signal, this.parts.arrivals.isListening)
  }

  /**
   * A drain waits for the jobs of dead workers, because it is the only worker that some applications have, and it can
   * take them over only after a while.
   */
  async isDrained(): Promise<boolean> {
    return this.inFlight.hasStartedAll && !(await this.parts.jobs.hasOrphans())
  }

  get hasNews(): boolean {
    return this.unknown.hasAny || this.inFlight.hasDied
  }

  onNews(changed: () => void): void {
    this.changed = changed
  }

  async close(): Promise<void> {
    this.reaper.close()
    this.progress.close()
    await this.presence.stopHeartbeat()
    await this.releaseUnstarted().catch(() => {})
    // While jobs are still in flight, the row of this worker stays, so that no worker takes them over before the lease ends.
    if (this.inFlight.isEmpty) await this.parts.jobs.leave().catch(() => {})
    await this.parts.arrivals.close()
    await this.parts.close()
  }

  /** Releases the jobs that did not get a slot before the worker stopped. */
  private async releaseUnstarted(): Promise<void> {
    const reason = 'The worker stopped before the job began.'
    const { unstarted } = this.inFlight
    const released = unstarted.map((job) => ({ job, outcome: { state: 'released', delay: 0, reason } as const }))
    await new Acknowledgement(released, true).storeOutcomes(this.parts.jobs)
    this.inFlight.remove(unstarted)
  }

  private reconcile({ jobs }: Acknowledgement): Promise<void> {
    return this.unknown.resolve(this.parts.jobs, this.inFlight, jobs)
  }

  private answerIsUnknown(): void {
    this.claims.forgetCursors()
    this.changed()
  }

  private hasReaped(): void {
    // A drain checks again: the worker that it waits for may be back, or its jobs may have been taken over.
    if (this.hasNews || this.options.once) this.changed()
  }

  private arrived(job?: Arrival): void {
    const { queues } = this.options
    if (job && queues !== '*' && !queues.includes(job.queue)) return
    this.claims.jobArrived(job)
    this.idle.jobsArrived()
  }
}
