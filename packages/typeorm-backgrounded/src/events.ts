import { EventEmitter } from 'node:events'

/** What an event says about a job. */
export interface JobSummary {
  readonly id: string
  readonly entity: string
  /** Primary columns by property path; absent for a static method. */
  readonly key?: Readonly<Record<string, unknown>>
  readonly method: string
  readonly queue: string
}

/** A job that a worker has claimed. */
export interface RunningJobSummary extends JobSummary {
  /** 1 for the first run. */
  readonly attempt: number
  /** How many runs it may have. */
  readonly attempts: number
}

/** The events of one data source, by name. All times are ms. */
export interface BackgroundedEventMap {
  /** The store has the job; for a deferred call, after its commit. */
  enqueued: [event: { job: JobSummary }]
  /** The store did not take the job. */
  enqueueFailed: [event: { job: JobSummary; error: unknown }]
  started: [event: { job: RunningJobSummary }]
  completed: [event: { job: RunningJobSummary; duration: number }]
  /** The attempt failed; the job runs again after `delay`. */
  retried: [event: { job: RunningJobSummary; error: unknown; delay: number }]
  /** The job failed for good and is kept. */
  failed: [event: { job: RunningJobSummary; error: unknown }]
  /** The job will not run, by its own or its row's state. */
  discarded: [event: { job: RunningJobSummary; reason: string }]
  /** The job went back without using an attempt. */
  released: [event: { job: RunningJobSummary; reason: string; delay: number }]
  /** Another worker may run the job; what this one did with it is not stored. */
  leaseLost: [event: { job: RunningJobSummary }]
}

/** Typed emitter, see `backgroundedEvents`. A listener that throws is logged and harms no job. */
export class BackgroundedEvents extends EventEmitter<BackgroundedEventMap> {
  constructor(private readonly onListenerError: (error: unknown, event: string) => void) {
    super()
  }

  override emit<E extends keyof BackgroundedEventMap>(event: E, ...payload: BackgroundedEventMap[E]): boolean {
    if (this.listenerCount(event) === 0) return false
    for (const listener of this.rawListeners(event)) this.call(listener as Listener, event, payload)
    return true
  }

  private call(listener: Listener, event: string, payload: unknown[]): void {
    try {
      const result = listener.apply(this, payload)
      if (result instanceof Promise) result.catch((error: unknown) => this.report(error, event))
    } catch (error) {
      this.report(error, event)
    }
  }

  private report(error: unknown, event: string): void {
    try {
      this.onListenerError(error, event)
    } catch {
      // The logger has thrown as well: there is nobody left to tell, and the job goes on.
    }
  }
}

type Listener = (...payload: unknown[]) => unknown
