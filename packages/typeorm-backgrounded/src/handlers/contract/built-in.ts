import type { QueryRunner } from 'typeorm'
import type { JobEnvelope } from '../../job/envelope'
import type { ClaimedJob, ConsumeOptions } from './consumable'
import type { EnqueueResult, Handler, HandlerCapabilities, HandlerHost } from './handler'

/**
 * What the library's own handlers get and provide beyond the public contract. Other handlers work without any of it.
 */
export interface BuiltInHost extends HandlerHost {
  /**
   * The query runner of a test's own transaction, which is never committed. Only this runner sees what it has written.
   */
  testRunner(): QueryRunner | undefined
}

export interface BuiltInCapabilities extends HandlerCapabilities {
  /**
   * The handler is `Relayed`. Default false: a relay that dies between a push and the removal of its row may push
   * twice.
   */
  readonly remembersPushes?: boolean
}

/**
 * A handler outside the database that lets the outbox push each job once, even when a process dies on the way. Its
 * `enqueue` remembers ids too, until its answer has arrived, because the outbox pushes a call without an answer later.
 */
export interface Relayed {
  /**
   * Like `enqueue`, and in the same step remembers the ids until `forget`: a job whose id is remembered is
   * `'duplicate'`, even when it has run and is gone.
   * @param validFor ms from now, after which a request that reaches the store stores nothing and rejects
   */
  push(jobs: readonly JobEnvelope[], validFor: number): Promise<readonly EnqueueResult[]>
  /** Called when the outbox no longer has rows of these jobs. */
  forget(ids: readonly string[]): Promise<void>
}

/** How the outbox pushes to a handler that remembers what was pushed. Undefined for every other handler. */
export function relayedBy(handler: Handler): Relayed | undefined {
  const { remembersPushes = false }: BuiltInCapabilities = handler.capabilities
  return remembersPushes ? (handler as Handler & Relayed) : undefined
}

export interface BuiltInConsumeOptions extends ConsumeOptions {
  /**
   * Which rows the next claimed jobs will most likely need, for a handler in the same database that can prefetch them.
   * Called before each claim.
   */
  prefetch?(): PrefetchQuery | undefined
}

/** A query for the rows of jobs, by their keys. */
export interface PrefetchQuery {
  /** The entity of these jobs, as stored. */
  readonly entity: string
  /** @param keys an SQL expression, an array of keys as they are stored */
  select(keys: string): string
}

/** Rows that were read right after a claim, in the same round trip. */
export interface PrefetchedRows {
  readonly query: PrefetchQuery
  /** As the driver returns them. */
  readonly rows: readonly object[]
  /** When they were read, by `performance.now()`. */
  readonly at: number
}

/** A job of a handler that prefetches rows. */
export interface PrefetchedJob extends ClaimedJob {
  /** The rows that were prefetched with its claim. Its own row may be among them. */
  readonly prefetched?: PrefetchedRows
}
