import type { Place } from '../places/place'

/** The same on every side. */
export const ATTEMPTS = 10
export const QUEUE = 'default'

/** One way of having a job done: this library with a handler, a peer by hand, or a floor. */
export interface Side {
  /** On a blank place: the users, and the tables that are not there yet. */
  lay(): Promise<void>
  /** One awaited call. */
  enqueue(id: number, text?: string): Promise<unknown>
  /** As many calls in one write. */
  enqueueMany(ids: readonly number[], options?: ManyOptions): Promise<unknown>
  /** Saves a new row and enqueues a job for it, as safely as the side can. */
  saveAndEnqueue?(number: number, options?: SaveOptions): Promise<unknown>
  /** Resolves when everything that was enqueued is with the store. */
  settled?(): Promise<void>
  /** Starts a worker in this process that reloads the row of each job and calls `ran`. */
  work(slots: number, ran: Ran): Promise<Working>
  close(): Promise<void>
}

export interface ManyOptions {
  /** An argument of the job, beside the key. */
  readonly text?: string
  /** In an hour, not now. */
  readonly isScheduled?: boolean
  /** Jobs that fail for good when they run. */
  readonly isFailing?: boolean
  /** Jobs that load nothing and do nothing: a static method with this library. */
  readonly isEmpty?: boolean
}

export interface SaveOptions {
  /** The transaction updates the row after the call, default false. */
  readonly isUpdating?: boolean
}

/** What a run reports when its job has no row. */
export const NO_ROW = 0

/** What the method of a job does: it counts, and may have the worker wait. */
export type Ran = (id: number) => Promise<void> | undefined

export interface Working {
  stop(): Promise<unknown>
}

export type OpenSide = (place: Place) => Promise<Side>
