import { randomUUID } from 'node:crypto'
import type { ConsumeOptions } from '../contract/consumable'
import type { HandlerHost } from '../contract/handler'
import { Contact } from '../consumption/contact'
import type { AcknowledgedAndClaimed, FinishedJob, JobStore } from '../consumption/job-store'
import { ProgressWrites, type Progress } from '../consumption/progress-writes'
import type { Arrivals } from './arrivals'
import { ClaimProblems } from './claim-problems'
import { storeError, type Commands } from './commands'
import type { Connections } from './connections'
import { warnOfEviction } from './eviction-policy'
import { IdleTime } from './idle-time'
import { InFlightRecords, type InFlightRecord } from './in-flight-records'
import type { ResolvedBullOptions } from './options'
import { Reaper } from './reaper'
import {
  acknowledgeAndClaim,
  type AcknowledgeAndClaimReply,
  type AcknowledgeAndClaimRequest,
  type Applied,
} from './scripts/acknowledge-and-claim'
import type { ClaimedRecord } from './scripts/claimed'
import { listHeld, progress as progressOf, type ReapRequest } from './scripts/reap-and-prune'
import { storedOutcomeOf } from './stored-outcome'
import { UnknownAnswers } from './unknown-answers'
import { WorkerPresence } from './worker-presence'

const TIMEOUT = 5_000
const CHECK_NEWS_EVERY = 15_000

export interface BullStoreParts {
  readonly host: HandlerHost
  /** Begins every key. */
  readonly base: string
  readonly connections: Connections
  readonly commands: Commands
  readonly arrivals: Arrivals
  readonly options: ResolvedBullOptions
  readonly consumption: ConsumeOptions
}

/** What one worker does with the jobs of one data source in Redis. */
export class BullStore implements JobStore<InFlightRecord> {
  /** One for commands, one for messages about new jobs, and one for the heartbeat's thread. */
  readonly connections: number
  readonly lease: number
  private readonly worker = randomUUID()
  private readonly queues: readonly string[] | undefined
  private readonly inFlight: InFlightRecords
  private readonly unknown: UnknownAnswers
  private readonly contact: Contact
  private readonly idle: IdleTime
  private readonly presence: WorkerPresence
  private readonly progress: ProgressWrites<ClaimedRecord>
  private readonly problems: ClaimProblems
  private readonly reaper: Reaper
  private requests = 0
  private newsCheckedAt = performance.now()
  private changed = () => {}

  constructor(private readonly parts: BullStoreParts) {
    const { host, base, commands, arrivals, options, consumption } = parts
    const { logger } = host
    const { lease, lookAround: every } = options
    const { worker } = this
    this.queues = consumption.queues === '*' ? undefined : consumption.queues
    this.connections = consumption.once ? 2 : 3
    this.lease = lease
    const inFlight = new InFlightRecords((claim, value) => this.progress.set(claim, value))
    const contact = new Contact(lease)
    this.inFlight = inFlight
    this.contact = contact
    this.unknown = new UnknownAnswers(commands)
    this.idle = new IdleTime(arrivals, consumption.pollInterval, logger)
    const onGap = () => this.heartbeatHadGap()
    this.presence = new WorkerPresence({ host, commands, options, consumption, base, worker, onGap })
    this.progress = new ProgressWrites((values) => this.storeProgress(values), logger)
    this.problems = new ClaimProblems(logger)
    const request = () => this.reapRequest()
    const onReaped = (taken: number) => this.hasReaped(taken)
    this.reaper = new Reaper({ commands, inFlight, contact, logger, request, every, lease, onReaped })
    if (!consumption.once) void warnOfEviction(commands, logger)
  }

  async acknowledgeAndClaim(
    finished: readonly FinishedJob<InFlightRecord>[],
    slots: number,
  ): Promise<AcknowledgedAndClaimed<InFlightRecord>> {
    const { commands, host, consumption } = this.parts
    const { inFlight } = this
    await this.progress.beforeTheEnd(finished, host.keepCompleted > 0)
    // The heartbeat of a drain runs on the main loop, and its first claim may be its last.
    if (!this.presence.isAlive && slots > 0 && consumption.once) await this.comeAlive()
    if (this.unknown.hasAny) await this.reconcile()
    const start = performance.now()
    const { breaks } = commands
    const request = this.requestOf(finished, slots)
    const reply = await commands.run(acknowledgeAndClaim, [JSON.stringify(request)], TIMEOUT)
    if (this.presence.hasJustDied(reply.isAlive) && inFlight.count > finished.length) this.unknown.hadGap()
    this.contact.madeAt(start)
    const acknowledged = this.acknowledge(finished, reply, breaks !== commands.breaks)
    this.idle.claimEnded(reply)
    this.problems.log(reply.problems)
    if (reply.isMore && reply.claimed.length === 0 && inFlight.hasStartedAll)
      return { ...(await this.acknowledgeAndClaim([], slots)), ...acknowledged }
    const claimed = inFlight.start(reply.claimed)
    if (claimed.length > 0) this.presence.isRunning(inFlight.names)
    const isAll = reply.claimed.length < request.slots && reply.problems.length === 0 && !reply.isMore
    return { ...acknowledged, claimed, isAll }
  }

  wait(signal: AbortSignal): Promise<void> {
    return this.idle.pass(signal)
  }

  get hasNews(): boolean {
    return !this.inFlight.hasStartedAll || this.unknown.hasAny
  }

  onNews(changed: () => void): void {
    this.changed = changed
  }

  async close(): Promise<void> {
    this.progress.close()
    this.reaper.close()
    this.parts.arrivals.close()
    await this.presence.leave()
  }

  private requestOf(finished: readonly FinishedJob<InFlightRecord>[], slots: number): AcknowledgeAndClaimRequest {
    return {
      finished: finished.map(storedOutcomeOf),
      slots: slots - this.inFlight.waiting,
      queues: this.queues,
      turn: this.requests,
      worker: this.worker,
      token: this.newToken(),
      ...this.suspectsWanted(finished),
      keepsCompleted: this.parts.host.keepCompleted > 0,
    }
  }

  /**
   * How many suspects may be claimed. After one death they run together, in up to half of the slots. After a second death,
   * or with only one attempt left, a suspect runs beside no other suspect.
   */
  private suspectsWanted(
    finished: readonly FinishedJob<InFlightRecord>[],
  ): Pick<AcknowledgeAndClaimRequest, 'suspects' | 'loneSuspect'> {
    const running = this.inFlight.suspects(new Set(finished.map(({ job }) => job)))
    const isOneAlone = running.some(({ claim }) => claim.isAlone)
    const most = Math.max(1, Math.floor((this.parts.consumption.concurrency ?? 1) / 2))
    return { suspects: isOneAlone ? 0 : Math.max(0, most - running.length), loneSuspect: running.length === 0 }
  }

  /** @param mayBeSentTwice whether ioredis may have sent the request again after a broken connection */
  private acknowledge(
    finished: readonly FinishedJob<InFlightRecord>[],
    reply: AcknowledgeAndClaimReply,
    mayBeSentTwice: boolean,
  ): Pick<AcknowledgedAndClaimed<InFlightRecord>, 'leaseLost' | 'refused'> {
    const leaseLost = new Set<InFlightRecord>()
    const refused = new Map<InFlightRecord, unknown>()
    finished.forEach(({ job, isRepeated = false }, index) => {
      const applied = reply.applied[index] as Applied
      if (applied instanceof Error) return refused.set(job, storeError(applied))
      this.inFlight.remove(job)
      // A job that is gone was removed by this same request, if ioredis or the loop has sent it before.
      if (applied === 'leaseLost' || (applied === 'gone' && !isRepeated && !mayBeSentTwice)) leaseLost.add(job)
      return undefined
    })
    return { leaseLost, refused }
  }

  private reconcile(): Promise<void> {
    const request = JSON.stringify({ queues: this.queues, worker: this.worker })
    return this.unknown.resolve(() => this.parts.commands.run(listHeld, [request], TIMEOUT), this.inFlight)
  }

  private async comeAlive(): Promise<void> {
    const wasAlive = await this.presence.comeAlive()
    if (!wasAlive && this.inFlight.count > 0) this.unknown.hadGap()
  }

  private heartbeatHadGap(): void {
    if (this.inFlight.count === 0) return
    this.unknown.hadGap()
    this.changed()
  }

  private reapRequest(): ReapRequest {
    const { host, options } = this.parts
    const { keepFailed, lease, gap } = options
    return {
      queues: this.queues,
      worker: this.worker,
      token: this.newToken(),
      lease,
      gap,
      keep: { completedAge: host.keepCompleted, failedAge: keepFailed.age, failedCount: keepFailed.count },
    }
  }

  private hasReaped(taken: number): void {
    if (taken > 0) this.changed()
    this.checkNews()
  }

  private checkNews(): void {
    const { arrivals, connections, consumption } = this.parts
    const now = performance.now()
    if (consumption.once || now - this.newsCheckedAt < CHECK_NEWS_EVERY) return
    this.newsCheckedAt = now
    void arrivals.check(TIMEOUT, () => connections.giveUp('Redis does not answer on one of them'))
  }

  private async storeProgress(values: readonly Progress<ClaimedRecord>[]): Promise<void> {
    const request = values.flatMap(({ claim: { queue, id, token }, progress }) => [
      queue,
      id,
      token,
      progress ?? 'null',
    ])
    await this.parts.commands.run(progressOf, request, TIMEOUT)
  }

  private newToken(): string {
    return `${this.worker}/${++this.requests}`
  }
}
