import type { DataSource } from 'typeorm'
import type { Handler, HandlerCapabilities } from '../../handlers/handler'
import type { ConformanceRecord } from './model'

/** One promise of the design, as every handler must keep it. */
export interface ConformanceCase {
  readonly title: string
  /** Why a handler with these capabilities cannot take part; nothing if it can. */
  readonly skip?: (capabilities: HandlerCapabilities) => string | undefined
  readonly run: (context: ConformanceContext) => Promise<void>
}

export interface ConformanceContext {
  readonly dataSource: DataSource
  readonly handler: Handler
  /** Saves a row. */
  record(title: string): Promise<ConformanceRecord>
  /** Names of the events so far, `enqueued` and `started` left out. */
  readonly events: string[]
}
