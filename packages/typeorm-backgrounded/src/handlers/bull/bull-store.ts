import { randomUUID } from 'node:crypto'
import { LONGEST_TIMER, sleep } from '../../concurrency/sleep'
import { removeFrom } from '../../concurrency/remove-from'
import { errorMessage } from '../../reporting/safe-error'
import { errorText, storableText } from '../../reporting/error-text'
import { Heartbeat } from '../heartbeat/heartbeat'
import { threadFile } from '../heartbeat/thread-file'
import type { ConsumeOptions } from '../contract/consumable'
import type { HandlerHost } from '../contract/handler'
import type { Outcome } from '../contract/outcome'
import { InFlightJob } from '../consumption/in-flight-job'
import { ProgressWrites, type Progress } from '../consumption/progress-writes'
import type { AcknowledgedAndClaimed, FinishedJob, JobStore } from '../consumption/job-store'
import type { Arrivals } from './arrivals'
import { storeError, type Commands } from './commands'
import type { Connections } from './connections'
import { envelopeOf } from './job-record'
import { warnOfEviction } from './eviction-policy'
import type { ResolvedBullOptions } from './options'
import type { ClaimedRecord } from './scripts/claimed'
import { beat, leave } from './scripts/beat'
import {
  acknowledgeAndClaim,
  type AcknowledgeAndClaimReply,
  type Applied,
  type StoredOutcome,
} from './scripts/acknowledge-and-claim'
import { listHeld, progress as progressOf, reapAndPrune, type ReapRequest } from './scripts/reap-and-prune'
import { beatWithin, type PulseData } from './worker-pulse'

type InFlightRecord = InFlightJob<ClaimedRecord>

const TIMEOUT = 5_000
const FAREWELL_TIMEOUT = 250
/** How soon a worker without a heartbeat asks again, in ms. */
const ASK_AGAIN = 20
const MAX_RETRY_DELAY = 1_000
/** So many claims without a heartbeat take about 8 s. */
const MANY_REFUSALS = 30
const CHECK_NEWS_EVERY = 15_000
const COMPLAIN_EVERY = 30_000

/** What one worker does with the jobs of one data source in Redis. */
export class BullStore implements JobStore<InFlightRecord> {
  /** One for commands, one for messages about new jobs, and one for the heartbeat's thread. */
  readonly connections: number
  readonly lease: number
  private readonly worker = randomUUID()
  private readonly inFlight: InFlightRecord[] = []
  private readonly queues: readonly string[] | undefined
  private readonly heartbeat: Heartbeat
  private readonly progress: ProgressWrites<ClaimedRecord>
  private readonly reapTimer: NodeJS.Timeout
  private requests = 0
  private nextDue = Infinity
  /** Jobs of dead workers, and claimed jobs of an unknown answer, which the next claim starts. */
  private unstarted: InFlightRecord[] = []
  private seenBreaks: number
  /** Other workers may have taken this one for dead. */
  private hasGap = false
  private lastContact = performance.now()
  private lastComplaint = -Infinity
  private isReaping = false
  private newsCheckedAt = performance.now()
  /** Whether Redis had a heartbeat of this worker at the last request. A worker without one claims nothing. */
  private isAlive = false
  /** How often nothing was claimed because this worker had no heartbeat. */
  private refusals = 0
  private changed = () => {}

  constructor(
    private readonly host: HandlerHost,
    private readonly base: string,
    private readonly ownConnections: Connections,
    private readonly commands: Commands,
    private readonly arrivals: Arrivals,
    private readonly options: ResolvedBullOptions,
    private readonly consumption: ConsumeOptions,
    private readonly concurrency: number,
  ) {
    this.queues = consumption.queues === '*' ? undefined : consumption.queues
    this.connections = consumption.once ? 2 : 3
    this.lease = options.lease
    this.seenBreaks = commands.breaks
    this.heartbeat = this.startHeartbeat()
    this.progress = new ProgressWrites((values) => this.storeProgress(values), host.logger)
    this.reapTimer = setInterval(() => void this.reapAndPrune(), Math.min(options.lookAround, LONGEST_TIMER))
    void this.reapAndPrune()
    if (!consumption.once) void warnOfEviction(commands, host.logger)
  }

  async acknowledgeAndClaim(
    finished: readonly FinishedJob<InFlightRecord>[],
    slots: number,
  ): Promise<AcknowledgedAndClaimed<InFlightRecord>> {
    await this.progress.beforeTheEnd(finished, this.host.keepCompleted > 0)
    // The heartbeat of a drain runs on the main loop, and its first claim may be its last.
    if (!this.isAlive && slots > 0 && this.consumption.once) await this.comeAlive()
    await this.reconcile()
    const start = performance.now()
    const { breaks } = this.commands
    const ended = new Set(finished.map(({ job }) => job))
    const request = {
      finished: finished.map((each) => this.outcomeToApply(each)),
      slots: slots - this.unstarted.filter(({ died }) => !died).length,
      queues: this.queues,
      turn: this.requests,
      worker: this.worker,
      token: this.newToken(),
      ...this.suspectsWanted(ended),
      keepsCompleted: this.host.keepCompleted > 0,
    }
    const reply = await this.commands.run(acknowledgeAndClaim, [JSON.stringify(request)], TIMEOUT)
    // Only when this is new, because each beat reports it too.
    if (this.isAlive && !reply.isAlive && this.inFlight.length > ended.size) this.hasGap = true
    this.isAlive = reply.isAlive
    this.lastContact = start
    const mayBeSentTwice = breaks !== this.commands.breaks
    const leaseLost = new Set<InFlightRecord>()
    const refused = new Map<InFlightRecord, unknown>()
    finished.forEach(({ job, isRepeated = false }, index) => {
      const applied = reply.applied[index] as Applied
      if (applied instanceof Error) return refused.set(job, storeError(applied))
      removeFrom(this.inFlight, job)
      // A job that is gone was removed by this same request, if ioredis or the loop has sent it before.
      if (applied === 'leaseLost' || (applied === 'gone' && !isRepeated && !mayBeSentTwice)) leaseLost.add(job)
      return undefined
    })
    this.nextDue = this.nextDueOf(reply)
    this.complain(reply.problems)
    if (reply.isMore && reply.claimed.length === 0 && this.unstarted.length === 0)
      return { ...(await this.acknowledgeAndClaim([], slots)), leaseLost, refused }
    const claimed = [...this.unstarted, ...reply.claimed.map((record) => this.add(record))]
    this.unstarted = []
    if (claimed.length > 0) this.heartbeat.isRunning(this.inFlight.map(({ name }) => name))
    const isAll = reply.claimed.length < request.slots && reply.problems.length === 0 && !reply.isMore
    return { leaseLost, refused, claimed, isAll }
  }

  async wait(signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    const until = Math.min(Date.now() + this.consumption.pollInterval, this.nextDue)
    await Promise.race([this.arrivals.next(either), sleep(until - Date.now(), either)])
    over.abort()
  }

  get hasNews(): boolean {
    // The answer to a claim may not have arrived.
    return this.unstarted.length > 0 || this.hasGap || this.seenBreaks !== this.commands.breaks
  }

  onNews(changed: () => void): void {
    this.changed = changed
  }

  async close(): Promise<void> {
    this.progress.close()
    clearInterval(this.reapTimer)
    this.arrivals.close()
    await this.heartbeat.stop()
    if (!this.commands.isOut) await this.commands.run(leave, [this.worker], FAREWELL_TIMEOUT).catch(() => {}) // then its key ends by itself
  }

  private startHeartbeat(): Heartbeat {
    const { beat: every, gap, lease, redis } = this.options
    const { base, worker, commands } = this
    const data: PulseData = { redis, base, worker, lease, every, gap }
    return new Heartbeat({
      every,
      longestSilence: this.consumption.maxSilence,
      // A drain is over too soon to be worth a thread, most of all in tests.
      thread: this.consumption.once ? undefined : { file: threadFile(() => __dirname), data },
      pulse: () => ({ beat: () => beatWithin(commands, data), close() {} }),
      onGap: () => {
        if (this.inFlight.length === 0) return
        this.hasGap = true
        this.changed()
      },
      logger: this.host.logger,
    })
  }

  private nextDueOf({ isAlive, nextDue }: AcknowledgeAndClaimReply): number {
    if (isAlive) {
      this.refusals = 0
      return nextDue === undefined ? Infinity : Date.now() + nextDue
    }
    if (this.refusals++ === MANY_REFUSALS) {
      this.host.logger.warn({}, 'nothing is claimed: the heartbeat of this worker has not reached Redis')
    }
    return Date.now() + Math.min(ASK_AGAIN * this.refusals, MAX_RETRY_DELAY)
  }

  private async comeAlive(): Promise<void> {
    const { lease, gap } = this.options
    const wasAlive = await this.commands.run(beat, [this.worker, lease, gap], TIMEOUT)
    if (!wasAlive && this.inFlight.length > 0) this.hasGap = true
  }

  /**
   * How many suspects may be claimed. After one death they run together, in up to half of the slots. After a second death,
   * or with only one attempt left, a suspect runs beside no other suspect.
   */
  private suspectsWanted(ended: ReadonlySet<InFlightRecord>): { suspects: number; loneSuspect: boolean } {
    const running = this.inFlight.filter((job) => job.claim.isSuspect && !job.died && !ended.has(job))
    const isOneAlone = running.some(({ claim }) => claim.isAlone)
    const most = Math.max(1, Math.floor(this.concurrency / 2))
    return { suspects: isOneAlone ? 0 : Math.max(0, most - running.length), loneSuspect: running.length === 0 }
  }

  /**
   * Compares the jobs in flight with those that Redis has as claimed by this worker, when an answer has not arrived or
   * other workers may have taken this one for dead.
   */
  private async reconcile(): Promise<void> {
    const { breaks } = this.commands
    if (breaks === this.seenBreaks && !this.hasGap) return
    const stored = await this.commands.run(
      listHeld,
      [JSON.stringify({ queues: this.queues, worker: this.worker })],
      TIMEOUT,
    )
    this.seenBreaks = breaks
    this.hasGap = false
    // The same token may belong to several jobs, when ioredis has sent a claim twice.
    const claims = new Set(stored.map(claimOf))
    const known = new Set<string>()
    for (const job of this.inFlight) {
      known.add(claimOf(job.claim))
      if (!claims.has(claimOf(job.claim))) job.lose()
    }
    for (const record of stored) if (!known.has(claimOf(record))) this.unstarted.push(this.add(record))
  }

  /**
   * Called every few seconds. Takes over the jobs of dead workers, removes old jobs, and notices lost contact with
   * Redis.
   */
  private async reapAndPrune(): Promise<void> {
    if (this.isReaping) return
    this.isReaping = true
    const start = performance.now()
    try {
      // Redis must decide within a short time, because this worker must still be alive when the answer arrives.
      const taken = await this.commands.run(reapAndPrune, [JSON.stringify(this.reapRequest())], this.options.lease / 4)
      this.lastContact = start
      for (const record of taken) this.unstarted.push(this.add(record))
      if (taken.length > 0) this.changed()
      this.checkNews()
    } catch (error) {
      this.host.logger.debug({ err: error }, 'Redis did not answer the search for dead workers')
      if (performance.now() - this.lastContact <= this.options.lease) return
      for (const job of this.inFlight) job.lose()
    } finally {
      this.isReaping = false
    }
  }

  private checkNews(): void {
    const now = performance.now()
    if (this.consumption.once || now - this.newsCheckedAt < CHECK_NEWS_EVERY) return
    this.newsCheckedAt = now
    void this.arrivals.check(TIMEOUT, () => this.ownConnections.giveUp('Redis does not answer on one of them'))
  }

  private reapRequest(): ReapRequest {
    const { keepFailed, lease, gap } = this.options
    return {
      queues: this.queues,
      worker: this.worker,
      token: this.newToken(),
      lease,
      gap,
      keep: {
        completedAge: this.host.keepCompleted,
        failedAge: keepFailed.age,
        failedCount: keepFailed.count,
      },
    }
  }

  private complain(problems: AcknowledgeAndClaimReply['problems']): void {
    if (problems.length === 0 || performance.now() - this.lastComplaint < COMPLAIN_EVERY) return
    this.lastComplaint = performance.now()
    this.host.logger.error({ problems }, 'jobs of some queues cannot be claimed')
  }

  private outcomeToApply({ job, outcome }: FinishedJob<InFlightRecord>): StoredOutcome {
    const { queue, id, token } = job.claim
    return { queue, id, token, died: job.died, ...storedOutcomeOf(outcome) }
  }

  private add(record: ClaimedRecord): InFlightRecord {
    const job = new InFlightJob(record, envelopeOf(record), record.died, this.setProgress)
    this.inFlight.push(job)
    return job
  }

  private readonly setProgress = (claim: ClaimedRecord, value: unknown) => this.progress.set(claim, value)

  private async storeProgress(values: readonly Progress<ClaimedRecord>[]): Promise<void> {
    const request = values.flatMap(({ claim: { queue, id, token }, progress }) => [
      queue,
      id,
      token,
      progress ?? 'null',
    ])
    await this.commands.run(progressOf, request, TIMEOUT)
  }

  private newToken(): string {
    return `${this.worker}/${++this.requests}`
  }
}

function storedOutcomeOf(outcome: Outcome): Omit<StoredOutcome, 'queue' | 'id' | 'token'> {
  switch (outcome.state) {
    case 'completed':
      return { state: 'completed' }
    case 'retried': {
      const { delay, error, attemptsLeft = 1 } = outcome
      return { state: 'retried', delay, isLast: attemptsLeft < 2, ...errorOf(error) }
    }
    case 'failed':
      return { state: 'failed', ...errorOf(outcome.error) }
    case 'discarded':
      return { state: 'discarded', reason: storableText(outcome.reason) }
    case 'released':
      return { state: 'released', delay: outcome.delay, reason: storableText(outcome.reason), since: outcome.since }
  }
}

function claimOf({ queue, id, token }: ClaimedRecord): string {
  return JSON.stringify([queue, id, token])
}

function errorOf(error: unknown): { reason: string; stacktrace: string } {
  const text = errorText(error)
  const [firstLine = text] = text.split('\n', 1)
  return { reason: storableText(errorMessage(error)) || firstLine, stacktrace: JSON.stringify([text]) }
}
