import { randomUUID } from 'node:crypto'
import { sleep } from '../../pause'
import { removeFrom } from '../../remove-from'
import { errorMessage } from '../../reporting/safe-error'
import { errorText, storableText } from '../../reporting/error-text'
import { Heartbeat } from '../heartbeat/heartbeat'
import type { ClaimedJob, ConsumeOptions, HandlerHost, Outcome } from '../handler'
import { HeldJob } from '../held-job'
import type { Exchanged, FinishedJob, JobStore } from '../store-consumption'
import type { Arrivals } from './arrivals'
import type { Commands } from './commands'
import { envelopeOf } from './job-record'
import type { ResolvedBullOptions } from './options'
import type { ClaimedRecord } from './scripts/claimed'
import { exchange, type ExchangeReply, type Settlement } from './scripts/exchange'
import { beat, leave, listHeld, progress, tend, type TendRequest } from './scripts/tend'
import type { PulseData } from './worker-pulse'

type HeldRecord = HeldJob<ClaimedRecord>

const TIMEOUT = 5_000
const FAREWELL_TIMEOUT = 500
const COMPLAIN_EVERY = 30_000

/** The jobs of one data source in Redis, as one worker sees them. */
export class BullStore implements JobStore<HeldRecord> {
  /** For commands, for news, and for the heartbeat's thread. */
  readonly connections: number
  private readonly worker = randomUUID()
  private readonly held: HeldRecord[] = []
  private readonly queues: readonly string[] | undefined
  private readonly heartbeat: Heartbeat
  private readonly looks: NodeJS.Timeout
  private exchanges = 0
  private nextDue = Infinity
  /** Jobs of dead workers, and jobs whose claim was not heard of, for the next exchange to hand out. */
  private found: HeldRecord[] = []
  private seenBreaks: number
  /** Others may have taken this worker for dead. */
  private hasGap = false
  private lastContact = performance.now()
  private lastComplaint = -Infinity
  private isLooking = false
  private changed = () => {}

  constructor(
    private readonly host: HandlerHost,
    private readonly base: string,
    private readonly commands: Commands,
    private readonly arrivals: Arrivals,
    private readonly options: ResolvedBullOptions,
    private readonly consumption: ConsumeOptions,
  ) {
    this.queues = consumption.queues === '*' ? undefined : consumption.queues
    this.connections = consumption.once ? 2 : 3
    this.seenBreaks = commands.breaks
    this.heartbeat = this.startHeartbeat()
    this.looks = setInterval(() => void this.lookAround(), options.lookAround)
    void this.lookAround()
  }

  async exchange(finished: readonly FinishedJob<HeldRecord>[], slots: number): Promise<Exchanged<HeldRecord>> {
    await this.reconcile()
    const { worker } = this
    const { lease } = this.options
    const ended = new Set(finished.map(({ job }) => job))
    const request = {
      finished: finished.map((each) => this.settlement(each)),
      slots: slots - this.found.filter(({ died }) => !died).length,
      queues: this.queues,
      turn: this.exchanges,
      worker,
      token: this.newToken(),
      lease,
      takesSuspect: !this.held.some((job) => job.claim.isSuspect && !ended.has(job)),
      keepsCompleted: this.host.keepCompleted > 0,
    }
    const reply = await this.commands.run(exchange, [JSON.stringify(request)], TIMEOUT)
    if (reply.wasDead && this.held.length > 0) this.hasGap = true
    const lost = new Set(finished.filter((_, index) => !reply.settled[index]).map(({ job }) => job))
    for (const job of ended) removeFrom(this.held, job)
    this.nextDue = reply.nextDue === undefined ? Infinity : Date.now() + reply.nextDue
    this.complain(reply.problems)
    const claimed = [...this.found, ...reply.claimed.map((record) => this.hold(record))]
    this.found = []
    if (claimed.length > 0) this.heartbeat.isRunning(this.held.map(({ name }) => name))
    return { lost, claimed, isAll: reply.claimed.length < request.slots && reply.problems.length === 0 }
  }

  async wait(signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    const until = Math.min(Date.now() + this.consumption.pollInterval, this.nextDue)
    await Promise.race([this.arrivals.next(either), sleep(until - Date.now(), either)])
    over.abort()
  }

  get hasNews(): boolean {
    return this.found.length > 0 || this.hasGap
  }

  onNews(changed: () => void): void {
    this.changed = changed
  }

  async close(): Promise<void> {
    clearInterval(this.looks)
    this.arrivals.close()
    await this.heartbeat.stop()
    await this.commands.run(leave, [this.worker], FAREWELL_TIMEOUT).catch(() => {}) // then its key ends by itself
  }

  private startHeartbeat(): Heartbeat {
    const { beat: every, lease, redis } = this.options
    const { base, worker, commands } = this
    const data: PulseData = { redis, base, worker, lease, every }
    return new Heartbeat({
      every,
      // A drain is over soon, most of all in tests.
      thread: this.consumption.once ? undefined : { file: require.resolve('./heartbeat-thread'), data },
      pulse: () => ({ beat: () => commands.run(beat, [worker, lease], every), close() {} }),
      onGap: () => {
        if (this.held.length === 0) return
        this.hasGap = true
        this.changed()
      },
      logger: this.host.logger,
    })
  }

  /**
   * Where an answer may have been lost, or others may have taken this worker for dead: compares what it holds with
   * what the store says.
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
    const tokens = new Set(stored.map(({ token }) => token))
    const known = new Set<string>()
    for (const job of this.held) {
      known.add(job.claim.token)
      if (!tokens.has(job.claim.token)) job.lose()
    }
    for (const record of stored) if (!known.has(record.token)) this.found.push(this.hold(record))
  }

  /** Every few seconds: whose worker has died, and is this one in touch with the store itself? */
  private async lookAround(): Promise<void> {
    if (this.isLooking) return
    this.isLooking = true
    const start = performance.now()
    try {
      // What is decided on must still hold when it arrives.
      const taken = await this.commands.run(tend, [JSON.stringify(this.tendRequest())], this.options.lease / 4)
      this.lastContact = start
      for (const record of taken) this.found.push(this.hold(record))
      if (taken.length > 0) this.changed()
    } catch (error) {
      this.host.logger.debug({ err: error }, 'Redis did not answer a look around')
      if (performance.now() - this.lastContact <= this.options.lease) return
      for (const job of this.held) job.lose()
    } finally {
      this.isLooking = false
    }
  }

  private tendRequest(): TendRequest {
    const { keepFailed, lease } = this.options
    return {
      queues: this.queues,
      worker: this.worker,
      token: this.newToken(),
      lease,
      keep: {
        completedAge: this.host.keepCompleted,
        failedAge: keepFailed.age,
        failedCount: keepFailed.count,
      },
    }
  }

  private complain(problems: ExchangeReply['problems']): void {
    if (problems.length === 0 || performance.now() - this.lastComplaint < COMPLAIN_EVERY) return
    this.lastComplaint = performance.now()
    this.host.logger.error({ problems }, 'jobs of some queues cannot be claimed')
  }

  private settlement({ job, outcome, isRepeated }: FinishedJob<HeldRecord>): Settlement {
    const { queue, id, token } = job.claim
    return { queue, id, token, repeated: isRepeated, ...settlementOf(outcome, job) }
  }

  private hold(record: ClaimedRecord): HeldRecord {
    const job = new HeldJob(record, envelopeOf(record), record.died, this.storeProgress)
    this.held.push(job)
    return job
  }

  private readonly storeProgress = ({ queue, id, token }: ClaimedRecord, value: unknown): void => {
    const text = JSON.stringify(value) ?? 'null'
    this.commands
      .run(progress, [queue, id, token, text], TIMEOUT)
      .catch((error: unknown) =>
        this.host.logger.warn({ err: error, job: id }, 'the progress of a job could not be stored'),
      )
  }

  private newToken(): string {
    return `${this.worker}/${++this.exchanges}`
  }
}

function settlementOf(outcome: Outcome, job: ClaimedJob): Omit<Settlement, 'queue' | 'id' | 'token'> {
  switch (outcome.state) {
    case 'completed':
      return { state: 'completed' }
    case 'retried':
      return { state: 'retried', delay: outcome.delay, suspect: job.died, ...errorOf(outcome.error) }
    case 'failed':
      return { state: 'failed', ...errorOf(outcome.error) }
    case 'discarded':
      return { state: 'discarded', reason: storableText(outcome.reason) }
    case 'released':
      return { state: 'released', delay: outcome.delay, reason: storableText(outcome.reason), since: outcome.since }
  }
}

function errorOf(error: unknown): { reason: string; stacktrace: string } {
  const text = errorText(error)
  const [firstLine = text] = text.split('\n', 1)
  return { reason: storableText(errorMessage(error)) || firstLine, stacktrace: JSON.stringify([text]) }
}
