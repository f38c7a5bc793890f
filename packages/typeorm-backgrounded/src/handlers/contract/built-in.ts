import type { QueryRunner } from 'typeorm'
import type { JobEnvelope } from '../../job/envelope'
import type { ClaimedJob, ConsumeOptions } from './consumable'
import type { EnqueueResult, Handler, HandlerCapabilities, HandlerHost } from './handler'

/**
 * What the library's own handlers are given, and give, beyond the public contract. A handler of one's own works without
 * any of it.
 */
export interface BuiltInHost extends HandlerHost {
  /** Of a test's own transaction, never to be committed: while it is open, what it wrote is seen through it only. */
  testRunner(): QueryRunner | undefined
}

export interface BuiltInCapabilities extends HandlerCapabilities {
  /** It is `Relayed`. Default false: a relay that dies between a push and its note of it may push again. */
  readonly remembersPushes?: boolean
}

/**
 * A handler outside the database that lets the outbox push each job once, whoever dies on the way. Its `enqueue`
 * remembers ids too, until its answer has arrived: a call whose answer was lost is pushed by the outbox later on.
 */
export interface Relayed {
  /**
   * Like `enqueue`, and in the same step remembers the ids until `forget`: a job whose id is remembered is
   * `'duplicate'`, even when it has run and is gone.
   * @param validFor ms: what reaches the store later than this from now stores nothing and rejects
   */
  push(jobs: readonly JobEnvelope[], validFor: number): Promise<readonly EnqueueResult[]>
  /** The outbox has no row of these jobs any more. */
  forget(ids: readonly string[]): Promise<void>
}

/** How the outbox pushes to a handler that remembers what was pushed. Undefined for every other handler. */
export function relayedBy(handler: Handler): Relayed | undefined {
  const { remembersPushes = false }: BuiltInCapabilities = handler.capabilities
  return remembersPushes ? (handler as Handler & Relayed) : undefined
}

export interface BuiltInConsumeOptions extends ConsumeOptions {
  /**
   * Which rows are most likely needed by what is claimed next, for a handler in the same database that can read them
   * along with the claim. Asked before each.
   */
  prefetch?(): PrefetchQuery | undefined
}

/** A read of rows that jobs name by their keys. */
export interface PrefetchQuery {
  /** Of these jobs, as stored. */
  readonly entity: string
  /** @param keys an SQL expression, an array of keys as they are stored */
  select(keys: string): string
}

/** Rows that came along with a claim, and were read after it. */
export interface PrefetchedRows {
  readonly query: PrefetchQuery
  /** As the driver makes them. */
  readonly rows: readonly object[]
  /** By `performance.now()`. */
  readonly at: number
}

/** A job as a handler that prefetches hands it out. */
export interface PrefetchedJob extends ClaimedJob {
  /** What was read along with its claim: its row may be among it. */
  readonly prefetched?: PrefetchedRows
}
