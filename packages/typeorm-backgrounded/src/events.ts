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

/** What an event says about a job that a worker has claimed. */
export interface RunningJobSummary extends JobSummary {
  /** 1 for the first run. */
  readonly attempt: number
  /** How many times it may run. */
  readonly attempts: number
}

/** The events of one data source, by name. All times are in ms. */
export interface BackgroundedEventMap {
  /** The store has the job. For a deferred call, this comes after the commit. */
  enqueued: [event: { job: JobSummary }]
  /** The store did not take the job. */
  enqueueFailed: [event: { job: JobSummary; error: unknown }]
  started: [event: { job: RunningJobSummary }]
  completed: [event: { job: RunningJobSummary; duration: number }]
  /** The attempt failed; the job runs again after `delay`. */
  retried: [event: { job: RunningJobSummary; error: unknown; delay: number }]
  /** The job failed for good and is kept. */
  failed: [event: { job: RunningJobSummary; error: unknown }]
  /** The job will not run again, because the method said so or its row is gone. */
  discarded: [event: { job: RunningJobSummary; reason: string }]
  /** The job went back to its queue without using an attempt. */
  released: [event: { job: RunningJobSummary; reason: string; delay: number }]
  /** The worker lost its lease, so another one may run the job, and the outcome of this run is not stored. */
  leaseLost: [event: { job: RunningJobSummary }]
}

type Subscribe = 'on' | 'once' | 'off' | 'addListener' | 'removeListener' | 'prependListener' | 'prependOnceListener'

/**
 * A typed emitter, which `backgroundedEvents` returns. An error that a listener throws is logged and does not affect jobs.
 *
 * Its methods are declared here because those of a generic EventEmitter depend on the version of @types/node, as does
 * whether they refuse an unknown event.
 */
export interface BackgroundedEvents extends Omit<EventEmitter, Subscribe | 'emit'> {
  on<E extends keyof BackgroundedEventMap>(event: E, listener: BackgroundedListener<E>): this
  once<E extends keyof BackgroundedEventMap>(event: E, listener: BackgroundedListener<E>): this
  off<E extends keyof BackgroundedEventMap>(event: E, listener: BackgroundedListener<E>): this
  addListener<E extends keyof BackgroundedEventMap>(event: E, listener: BackgroundedListener<E>): this
  removeListener<E extends keyof BackgroundedEventMap>(event: E, listener: BackgroundedListener<E>): this
  prependListener<E extends keyof BackgroundedEventMap>(event: E, listener: BackgroundedListener<E>): this
  prependOnceListener<E extends keyof BackgroundedEventMap>(event: E, listener: BackgroundedListener<E>): this
  emit<E extends keyof BackgroundedEventMap>(event: E, ...payload: BackgroundedEventMap[E]): boolean
}

/** The function that is called for an event. */
export type BackgroundedListener<E extends keyof BackgroundedEventMap> = (...payload: BackgroundedEventMap[E]) => void

/** @param onListenerError must not throw */
export function newEvents(onListenerError: (error: unknown, event: string) => void): BackgroundedEvents {
  const events: BackgroundedEvents = new EventEmitter()

  function call(listener: Listener, event: string, payload: unknown[]): void {
    try {
      const result = listener.apply(events, payload)
      if (isThenable(result)) Promise.resolve(result).catch((error: unknown) => onListenerError(error, event))
    } catch (error) {
      onListenerError(error, event)
    }
  }

  function emit(event: keyof BackgroundedEventMap, ...payload: unknown[]): boolean {
    if (events.listenerCount(event) === 0) return false
    for (const listener of events.rawListeners(event)) call(listener as Listener, event, payload)
    return true
  }

  Object.defineProperty(events, 'emit', { value: emit, writable: true, configurable: true, enumerable: false })
  return events
}

type Listener = (...payload: unknown[]) => unknown

function isThenable(result: unknown): result is PromiseLike<unknown> {
  return typeof (result as PromiseLike<unknown> | undefined)?.then === 'function'
}
