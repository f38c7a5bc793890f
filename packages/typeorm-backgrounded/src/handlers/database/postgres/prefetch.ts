import type { Logger } from '../../../logger'
import type { PrefetchQuery, PrefetchedRows } from '../../contract/built-in'
import type { BothRows } from '../../../database/postgres/connection'
import { CLAIMED_KEYS, RESTORE_TIMEOUT } from './statements'

export interface PrefetchParts {
  /** Which rows the worker is likely to need next. */
  readonly wanted: () => PrefetchQuery | undefined
  /** Whether this connection sees the same rows as those of the data source's pool. */
  readonly seesSameRowsAsPool: () => Promise<boolean>
  /**
   * Sends all statements without waiting in between. Returns undefined, and has sent nothing, when the connection cannot
   * do so.
   */
  readonly query: <Row>(
    text: string,
    values: readonly unknown[],
    more: { read: string; cleanUp: string },
    timeout: number,
  ) => Promise<BothRows<Row> | undefined>
  readonly logger: Logger
}

/** How long a query that has failed is not tried again, in ms. */
const PAUSE = 60_000

/** Reads the rows of claimed jobs right after their claim, in the same round trip. */
export class Prefetch {
  private seesSameRowsAsPool: boolean | undefined
  /** The SQL of each query, and until when it is paused. */
  private readonly known = new WeakMap<PrefetchQuery, { readonly text: string; pausedUntil: number }>()

  constructor(private readonly parts: PrefetchParts) {}

  /** The query to send with the next claim. */
  next(): PrefetchQuery | undefined {
    const query = this.parts.wanted()
    if (!query || !this.isVisible()) return undefined
    return this.of(query).pausedUntil > performance.now() ? undefined : query
  }

  /** Sends a claim and the query. Returns undefined when nothing was sent. */
  async query<Row>(
    query: PrefetchQuery,
    text: string,
    values: readonly unknown[],
    timeout: number,
  ): Promise<{ rows: Row[]; prefetched: PrefetchedRows | undefined } | undefined> {
    const known = this.of(query)
    const both = await this.parts.query<Row>(text, values, { read: known.text, cleanUp: RESTORE_TIMEOUT }, timeout)
    if (!both) {
      this.seesSameRowsAsPool = false
      return undefined
    }
    const { rows, read } = both
    if (!(read instanceof Error)) return { rows, prefetched: { query, rows: read, at: performance.now() } }
    known.pausedUntil = performance.now() + PAUSE
    this.parts.logger.debug({ err: read, entity: query.entity }, 'the rows of claimed jobs could not be prefetched')
    return { rows, prefetched: undefined }
  }

  private of(query: PrefetchQuery): { readonly text: string; pausedUntil: number } {
    let known = this.known.get(query)
    if (!known) this.known.set(query, (known = { text: query.select(CLAIMED_KEYS), pausedUntil: -Infinity }))
    return known
  }

  /** False until the answer is there. */
  private isVisible(): boolean {
    if (this.seesSameRowsAsPool === undefined) {
      this.seesSameRowsAsPool = false
      this.parts.seesSameRowsAsPool().then(
        (seesSame) => (this.seesSameRowsAsPool = seesSame),
        () => (this.seesSameRowsAsPool = undefined),
      )
    }
    return this.seesSameRowsAsPool
  }
}
