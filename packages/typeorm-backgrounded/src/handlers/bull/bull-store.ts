import { randomUUID } from 'node:crypto'
import { sleep } from '../../pause'
import { errorText, storableText } from '../error-text'
import type { ClaimedJob, ConsumeOptions, HandlerHost, Outcome } from '../handler'
import { loseLease, type Exchanged, type FinishedJob, type JobStore } from '../store-consumption'
import type { Arrivals } from './arrivals'
import type { Commands } from './commands'
import { envelopeOf } from './job-record'
import type { ResolvedBullOptions } from './options'
import type { ClaimedRecord } from './scripts/claimed'
import { exchange, type Settlement } from './scripts/exchange'
import { adopt, progress, tend } from './scripts/tend'

interface Held {
  readonly record: ClaimedRecord
  readonly controller: AbortController
}

const TIMEOUT = 5_000

/** The jobs of one data source in Redis, as one worker sees them. */
export class BullStore implements JobStore {
  private readonly worker = randomUUID()
  private readonly held = new Map<ClaimedJob, Held>()
  private readonly queues: readonly string[] | undefined
  private exchanges = 0
  private seenBreaks: number
  private nextDue = Infinity
  /** Jobs of dead workers, for the next exchange to hand out. */
  private dead: ClaimedJob[] = []
  private readonly beats: NodeJS.Timeout
  private lastBeat = -Infinity
  /** Since when no beat has been late. */
  private steadySince = Infinity
  private beating: Promise<void> | undefined
  private changed = () => {}

  constructor(
    private readonly host: HandlerHost,
    private readonly commands: Commands,
    private readonly arrivals: Arrivals,
    private readonly options: ResolvedBullOptions,
    private readonly consumption: ConsumeOptions,
  ) {
    this.queues = consumption.queues === '*' ? undefined : consumption.queues
    this.seenBreaks = commands.breaks
    const beat = () => (this.beating ??= this.beat().finally(() => (this.beating = undefined)))
    this.beats = setInterval(beat, Math.min(options.beat, options.lookAround))
    void beat()
  }

  async exchange(finished: readonly FinishedJob[], slots: number): Promise<Exchanged> {
    const unheard = await this.adoptUnheard()
    const reply = await this.commands.run(
      exchange,
      [
        JSON.stringify({
          finished: finished.map((each) => this.settlement(each)),
          slots: slots - unheard.length,
          queues: this.queues,
          turn: this.exchanges,
          token: this.newToken(),
          lease: this.options.lease,
          takesSuspect: ![...this.held.values()].some(({ record }) => record.isSuspect),
          keepsCompleted: this.host.keepCompleted > 0,
        }),
      ],
      TIMEOUT,
    )
    const lost = new Set(finished.filter((_, index) => !reply.settled[index]).map(({ job }) => job))
    for (const { job } of finished) this.held.delete(job)
    this.nextDue = reply.nextDue === undefined ? Infinity : Date.now() + reply.nextDue
    const dead = this.dead
    this.dead = []
    return { lost, claimed: [...dead, ...unheard, ...reply.claimed.map((record) => this.hold(record, false))] }
  }

  async wait(signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    const until = Math.min(Date.now() + this.consumption.pollInterval, this.nextDue)
    await Promise.race([this.arrivals.next(either), sleep(until - Date.now(), either)])
    over.abort()
  }

  get hasFound(): boolean {
    return this.dead.length > 0
  }

  onFound(changed: () => void): void {
    this.changed = changed
  }

  close(): void {
    clearInterval(this.beats)
    this.arrivals.close()
  }

  /** After a broken connection: the jobs that were claimed by an exchange whose answer never came. */
  private async adoptUnheard(): Promise<ClaimedJob[]> {
    const { breaks } = this.commands
    if (breaks === this.seenBreaks) return []
    const request = { queues: this.queues, worker: this.worker }
    const mine = await this.commands.run(adopt, [JSON.stringify(request)], TIMEOUT)
    this.seenBreaks = breaks
    const known = new Set([...this.held.values()].map(({ record }) => record.token))
    return mine.filter(({ token }) => !known.has(token)).map((record) => this.hold(record, false))
  }

  private async beat(): Promise<void> {
    const start = performance.now()
    const reaps = start - this.steadySince >= this.options.lease
    const held = [...this.held.values()]
    try {
      const reply = await this.commands.run(
        tend,
        [
          JSON.stringify({
            held: held.map(({ record: { queue, id, token } }) => ({ queue, id, token })),
            lease: this.options.lease,
            queues: this.queues,
            worker: this.worker,
            token: this.newToken(),
            reaps,
            keep: {
              completedAge: this.host.keepCompleted,
              failedAge: this.options.keepFailed.age,
              failedCount: this.options.keepFailed.count,
            },
          }),
        ],
        TIMEOUT,
      )
      // After a gap the others may just not have had the time to renew what is theirs.
      if (start - this.lastBeat > this.options.lease / 2) this.steadySince = start
      this.lastBeat = start
      held.forEach(({ controller }, index) => reply.isHeld[index] || loseLease(controller))
      for (const record of reply.taken) this.dead.push(this.hold(record, true))
      if (this.hasFound) this.changed()
    } catch (error) {
      this.host.logger.debug({ err: error }, 'a beat did not reach Redis')
      if (performance.now() - this.lastBeat > this.options.lease)
        for (const { controller } of held) loseLease(controller)
    }
  }

  private settlement({ job, outcome, isRepeated }: FinishedJob): Settlement {
    const { queue, id, token } = (this.held.get(job) as Held).record
    return { queue, id, token, repeated: isRepeated, ...settlementOf(outcome, job) }
  }

  private hold(record: ClaimedRecord, died: boolean): ClaimedJob {
    const controller = new AbortController()
    const job: ClaimedJob = {
      id: record.id,
      queue: record.queue,
      envelope: envelopeOf(record),
      attempt: record.attempt,
      died,
      releasedSince: record.releasedSince,
      signal: controller.signal,
      progress: (value) => this.storeProgress(record, value),
    }
    this.held.set(job, { record, controller })
    return job
  }

  private storeProgress({ queue, id, token }: ClaimedRecord, value: unknown): void {
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
  const message = error instanceof Error && typeof error.message === 'string' ? storableText(error.message) : firstLine
  return { reason: message || firstLine, stacktrace: JSON.stringify([text]) }
}
