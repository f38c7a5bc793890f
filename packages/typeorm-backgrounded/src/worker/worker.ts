import type { BuiltInConsumeOptions } from '../handlers/contract/built-in'
import { InvalidOptionError, NotConsumableError, WorkerStoppingError } from '../errors'
import type { BackgroundedEvents, RunningJobSummary } from '../events'
import type { ClaimedJob, Consumable, Consumption } from '../handlers/contract/consumable'
import type { Handler } from '../handlers/contract/handler'
import type { Outcome } from '../handlers/contract/outcome'
import { checkBoolean, checkCount, checkKnown, namesOf, quoted } from '../job/known-options'
import { milliseconds, type Duration } from '../job/duration'
import type { Logger } from '../logger'
import { after, withResolver } from '../concurrency/sleep'
import { removeFrom } from '../concurrency/remove-from'
import type { Executor } from './executor'
import { JobRun } from './job-run'
import { stopAtSignals } from './stop-at-signals'
import { Relaying, type Relay } from './relaying'

export interface WorkerOptions {
  /** Queues to work on, in order of preference; default all. */
  readonly queues?: readonly string[]
  /** Jobs at a time; default 1 on SQLite, 10 elsewhere. */
  readonly concurrency?: number
  /** How often to poll a store that does not notify workers of jobs; default 1 s, at least 1 ms. */
  readonly pollInterval?: Duration
  /** How long `stop()` waits for running methods; default 30 s. Their `signal` aborts 5 s, or half of it, before. */
  readonly shutdownTimeout?: Duration
  /**
   * How long one method may block the event loop before the process counts as hung, and ends itself with SIGKILL so that
   * its jobs run elsewhere; default 5 minutes, `false` for any time. Not while a debugger is attached, and not on SQLite.
   */
  readonly maxSilence?: Duration | false
}

export interface RunOptions {
  /**
   * Stop at SIGTERM and SIGINT as the command line does, default false: the first one waits for running methods, and
   * exits where one does not end within `shutdownTimeout`; a second one exits at once.
   */
  readonly signals?: boolean
}

export interface WorkerHost {
  readonly handler: Handler
  readonly executor: Pick<Executor, 'execute' | 'summarize' | 'prefetchQuery'>
  readonly events: BackgroundedEvents
  readonly logger: Logger
  readonly outbox?: Relay
  /** Called once, when the worker starts. */
  concurrency(asked: number | undefined): number
  /** The running workers, which are stopped with their data source. */
  readonly running?: Set<Worker>
  /** Whether the data source is closed, so that the worker cannot run. */
  isClosed?(): boolean
}

/** What a worker has done so far. */
export interface WorkCounts {
  completed: number
  retried: number
  failed: number
  discarded: number
  released: number
}

/** What `stop()` could not end. */
export interface StopReport {
  /** Methods that still run; this process keeps their leases until they end. */
  readonly stillRunning: readonly RunningJobSummary[]
}

const OPTIONS = namesOf<WorkerOptions>({
  queues: true,
  concurrency: true,
  pollInterval: true,
  shutdownTimeout: true,
  maxSilence: true,
})
const RUN_OPTIONS = namesOf<RunOptions>({ signals: true })
const ABORT_BEFORE_DEADLINE = 5_000
/** How much later than its deadline a stop may end, in ms. */
const GRACE = 700

/** Runs the jobs of one data source in this process. Made by `createWorker`. */
export class Worker {
  readonly counts: WorkCounts = { completed: 0, retried: 0, failed: 0, discarded: 0, released: 0 }
  /** The first error of a job that failed for good. */
  firstFailure: { error: unknown } | undefined
  /** Jobs whose outcome the store has not confirmed yet. */
  private readonly runs: JobRun[] = []
  private readonly contact = withResolver()
  private readonly stopped = withResolver()
  private consumption: Consumption | undefined
  private relaying: Relaying | undefined
  private stopping: Promise<StopReport> | undefined
  private hasRun = false
  private deadline: number | undefined

  constructor(
    private readonly host: WorkerHost,
    private readonly options: WorkerOptions = {},
    private readonly once = false,
  ) {
    checkWorkerOptions(options)
  }

  /** Jobs at a time; known once `run` was called. */
  get concurrency(): number | undefined {
    return this.consumption?.concurrency
  }

  /** Connections to the store that it holds beside the data source's pool; known once `run` was called. */
  get connections(): number | undefined {
    return this.consumption?.connections
  }

  /** Until when a stop waits for running methods, in ms since the epoch. */
  get stopsAt(): number | undefined {
    return this.deadline
  }

  /** Resolves when the store was reached for the first time. */
  get ready(): Promise<void> {
    return this.contact.promise
  }

  /**
   * Runs jobs until `stop()`; a drain until no job is due.
   * @throws NotConsumableError, or the error that keeps the handler from working at all
   */
  async run(options: RunOptions = {}): Promise<void> {
    checkKnown(options, RUN_OPTIONS, 'run')
    checkBoolean(options.signals, 'signals')
    const signals = options.signals ? stopAtSignals(this, this.host.logger) : undefined
    try {
      await this.work()
    } finally {
      signals?.end()
    }
  }

  private async work(): Promise<void> {
    if (this.hasRun) throw new InvalidOptionError('This worker ran already: create another one.')
    this.hasRun = true
    this.host.running?.add(this)
    try {
      await this.workOn()
    } finally {
      this.host.running?.delete(this)
    }
  }

  private async workOn(): Promise<void> {
    const { handler, outbox, logger } = this.host
    if (handler.capabilities.consumes !== 'worker') throw new NotConsumableError(handler.name)
    if (this.stopping || this.host.isClosed?.()) return
    try {
      await this.untilStopped(this.prepare(outbox))
      if (!this.stopping) await this.relayAndConsume(handler as Handler & Consumable, outbox)
    } catch (error) {
      if (!this.stopping) throw error
      logger.warn({ err: error }, 'the worker met an error while it was stopping')
    }
  }

  private async prepare(outbox: Relay | undefined): Promise<void> {
    await outbox?.check()
    if (this.once && !this.stopping) await outbox?.relay()
  }

  private async relayAndConsume(handler: Consumable, outbox: Relay | undefined): Promise<void> {
    if (outbox && !this.once) this.relaying = new Relaying(outbox, this.host.logger)
    try {
      await this.consume(handler)
    } finally {
      await Promise.race([this.relaying?.stop(), this.stopped.promise])
    }
  }

  /** `run` ends with the stop too, even when the store has not answered yet. */
  private async untilStopped(work: Promise<void>): Promise<void> {
    work.catch(() => {}) // it may fail after the stop
    await Promise.race([work, this.stopped.promise])
  }

  private async consume(handler: Consumable): Promise<void> {
    this.consumption = handler.consume(this.consumeOptions(), (job) => this.execute(job))
    const { ready, finished } = this.consumption
    if (ready) void ready.then(this.contact.resolve)
    else this.contact.resolve()
    await this.untilStopped(finished)
  }

  /**
   * Claims nothing more, waits for running methods, aborts their `signal` shortly before the timeout, and
   * resolves at the latest then.
   * @param exiting this process exits right after: methods that still run go back to the queue
   */
  stop({ exiting = false }: { exiting?: boolean } = {}): Promise<StopReport> {
    return (this.stopping ??= this.stopOnce(exiting))
  }

  private async stopOnce(exiting: boolean): Promise<StopReport> {
    if (!this.consumption) {
      this.stopped.resolve() // nothing was claimed yet
      return { stillRunning: [] }
    }
    void this.relaying?.stop()
    const timeout = milliseconds(this.options.shutdownTimeout ?? 30_000, 'shutdownTimeout')
    const deadline = (this.deadline = Date.now() + timeout)
    const callOff = after(timeout - Math.min(ABORT_BEFORE_DEADLINE, timeout / 2), () => this.abortAll())
    await this.stopConsumption(this.consumption, deadline, exiting)
    callOff()
    this.stopped.resolve()
    return { stillRunning: this.running.map(({ summary }) => summary as RunningJobSummary) }
  }

  /** Ends in time even when a handler ignores the deadline. */
  private async stopConsumption(consumption: Consumption, deadline: number, exiting: boolean): Promise<void> {
    const late = withResolver()
    const callOff = after(deadline + GRACE - Date.now(), late.resolve)
    const stopped = consumption.stop(deadline, { exiting }).catch((error: unknown) => {
      this.host.logger.error({ err: error }, 'the worker did not stop in order')
    })
    await Promise.race([stopped, late.promise])
    callOff()
  }

  private abortAll(): void {
    for (const run of this.running) run.abort(new WorkerStoppingError())
  }

  private get running(): JobRun[] {
    return this.runs.filter(({ isRunning }) => isRunning)
  }

  private execute(job: ClaimedJob): Promise<Outcome> {
    const run = new JobRun(job)
    this.runs.push(run)
    return this.host.executor.execute(run, run)
  }

  private consumeOptions(): BuiltInConsumeOptions {
    return {
      queues: this.options.queues ?? '*',
      concurrency: this.host.concurrency(this.options.concurrency),
      pollInterval: milliseconds(this.options.pollInterval ?? 1_000, 'pollInterval'),
      once: this.once,
      maxSilence: silenceOf(this.options),
      prefetch: () => this.host.executor.prefetchQuery(),
      applied: (job, outcome) => this.applied(job, outcome),
      leaseLost: (job) => {
        const { summary } = this.ended(job)
        this.host.events.emit('leaseLost', { job: summary })
        this.host.logger.warn({ job: summary }, 'lost the lease on a job: another worker may run it again')
      },
    }
  }

  private applied(job: ClaimedJob, outcome: Outcome): void {
    const { summary, duration } = this.ended(job)
    this.counts[outcome.state]++
    if (outcome.state === 'failed') this.firstFailure ??= { error: outcome.error }
    emitOutcome(this.host, summary, outcome, duration)
  }

  /** A job that was released may still be running, or not have started. */
  private ended(job: ClaimedJob): { summary: RunningJobSummary; duration: number } {
    const run = this.runs.find((each) => each.job === job)
    if (run && !run.isRunning) removeFrom(this.runs, run)
    return { summary: run?.summary ?? this.host.executor.summarize(job), duration: run?.duration ?? 0 }
  }
}

/** Emits and logs what became of a job. `duration` is in ms. */
export function emitOutcome(
  { events, logger }: Pick<WorkerHost, 'events' | 'logger'>,
  job: RunningJobSummary,
  outcome: Outcome,
  duration: number,
): void {
  const ms = Math.round(duration)
  switch (outcome.state) {
    case 'completed':
      events.emit('completed', { job, duration })
      return logger.info({ event: outcome.state, job, ms }, 'completed')
    case 'retried':
      events.emit('retried', { job, error: outcome.error, delay: outcome.delay })
      return logger.warn(
        { event: outcome.state, job, ms, err: outcome.error, retryIn: outcome.delay },
        'failed, will retry',
      )
    case 'failed':
      events.emit('failed', { job, error: outcome.error })
      return logger.error({ event: outcome.state, job, ms, err: outcome.error }, 'failed for good')
    case 'discarded':
      events.emit('discarded', { job, reason: outcome.reason })
      return logger.warn({ event: outcome.state, job, reason: outcome.reason }, 'discarded')
    case 'released':
      events.emit('released', { job, reason: outcome.reason, delay: outcome.delay })
      return logger.warn({ event: outcome.state, job, reason: outcome.reason, retryIn: outcome.delay }, 'released')
  }
}

function checkWorkerOptions(options: WorkerOptions): void {
  checkKnown(options, OPTIONS, 'A worker')
  const { queues, concurrency, pollInterval, shutdownTimeout } = options
  checkCount(concurrency, 'concurrency')
  if (queues !== undefined && !areNames(queues)) {
    throw new InvalidOptionError(
      `queues is ${quoted(queues)}: it must be a list of queue names; leave it out to work on all.`,
    )
  }
  if (pollInterval !== undefined && milliseconds(pollInterval, 'pollInterval') === 0) {
    throw new InvalidOptionError(`pollInterval is 0: give 1 or more milliseconds, or a text like '1s'.`)
  }
  if (shutdownTimeout !== undefined) milliseconds(shutdownTimeout, 'shutdownTimeout')
  silenceOf(options)
}

/** ms; Infinity for any. */
function silenceOf({ maxSilence = '5m' }: WorkerOptions): number {
  return maxSilence === false ? Infinity : milliseconds(maxSilence, 'maxSilence')
}

function areNames(queues: unknown): boolean {
  if (!Array.isArray(queues) || queues.length === 0) return false
  return queues.every((queue) => typeof queue === 'string' && queue !== '')
}
