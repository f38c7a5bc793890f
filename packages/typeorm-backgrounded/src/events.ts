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

type Subscribe = 'on' | 'once' | 'off' | 'addListener' | 'removeListener' | 'prependListener' | 'prependOnceListener'

/**
 * Typed emitter, see `backgroundedEvents`. A listener that throws is logged and harms no job.
 *
 * Its methods are declared here, because how those of a generic EventEmitter are declared, and whether they refuse an
 * unknown event, depends on the version of @types/node.
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

/** What is called at an event. */
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
