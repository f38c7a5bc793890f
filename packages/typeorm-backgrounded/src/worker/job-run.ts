import type { RunningJobSummary } from '../events'
import type { PrefetchedJob, PrefetchedRows } from '../handlers/contract/built-in'
import { LazyAbort } from '../concurrency/lazy-abort'
import type { RunListener } from './executor'

/** One run of a claimed job: its signal aborts with the lease or with the worker. */
export class JobRun implements PrefetchedJob, RunListener {
  /** There once it has begun. */
  summary: RunningJobSummary | undefined
  isRunning = true
  private startedAt = 0
  private endedAt = 0
  private aborted: LazyAbort | undefined

  constructor(
    /** As the handler claimed it. */
    readonly job: PrefetchedJob,
  ) {}

  get id(): string {
    return this.job.id
  }

  get queue(): string {
    return this.job.queue
  }

  get envelope(): unknown {
    return this.job.envelope
  }

  get attempt(): number {
    return this.job.attempt
  }

  get died(): boolean | undefined {
    return this.job.died
  }

  get releasedSince(): number | undefined {
    return this.job.releasedSince
  }

  get prefetched(): PrefetchedRows | undefined {
    return this.job.prefetched
  }

  get signal(): AbortSignal {
    return this.stop.signal
  }

  /** ms; 0 while it is running. */
  get duration(): number {
    return this.isRunning ? 0 : this.endedAt - this.startedAt
  }

  progress(value: unknown): void {
    if (this.isRunning) this.job.progress?.(value)
  }

  begun(summary: RunningJobSummary): void {
    this.summary = summary
    this.startedAt = performance.now()
  }

  ended(): void {
    this.endedAt = performance.now()
    this.isRunning = false
  }

  abort(reason: unknown): void {
    this.stop.abort(reason)
  }

  private get stop(): LazyAbort {
    return (this.aborted ??= new LazyAbort(() => this.job.signal))
  }
}
