import type { DataSource } from 'typeorm'
import type { Handler, HandlerCapabilities } from '../../handlers/contract/handler'
import type { BackgroundedOptions } from '../../plugin/options'
import type { Worker, WorkerOptions } from '../../worker/worker'
import type { ConformanceRecord } from './model'

/** One promise of the design, as every handler must keep it. */
export interface ConformanceCase {
  readonly title: string
  /** The reason why a handler with these capabilities cannot take part; undefined if it can. */
  readonly skip?: Skip
  /** Options of `withBackgrounded` that the case needs. */
  readonly options?: Partial<BackgroundedOptions>
  readonly run: (context: ConformanceContext) => Promise<void>
}

export type Skip = (capabilities: HandlerCapabilities, tester: ConformanceTester) => string | undefined

/** What the options of the suite make possible. */
export interface ConformanceTester {
  readonly forgetsWorkers: boolean
}

export interface ConformanceContext {
  readonly dataSource: DataSource
  readonly handler: Handler
  /** Saves a row. */
  record(title: string): Promise<ConformanceRecord>
  /** Starts a worker, which the end of the case stops. */
  work(options?: WorkerOptions): Worker
  /** Makes the store take every running worker for dead. */
  forgetWorkers(): Promise<void>
  /** The names of the events so far, without `enqueued` and `started`. */
  readonly events: string[]
  /** The errors of the events so far that have one, in order. */
  readonly errors: unknown[]
}
