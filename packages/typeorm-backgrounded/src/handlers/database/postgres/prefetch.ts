import type { Logger } from '../../../logger'
import type { PrefetchQuery, PrefetchedRows } from '../../contract/built-in'
import type { BothRows } from '../../../database/postgres/connection'
import { CLAIMED_KEYS, RESTORE_TIMEOUT } from './statements'

export interface PrefetchParts {
  /** Which rows the worker is likely to need. */
  readonly wanted: () => PrefetchQuery | undefined
  /** Whether the rows are the same to this connection as to those of the data source's pool. */
  readonly seesSameRowsAsPool: () => Promise<boolean>
  /** Sends all without waiting in between. Undefined: this connection cannot, and nothing was sent. */
  readonly query: <Row>(
    text: string,
    values: readonly unknown[],
    more: { read: string; cleanUp: string },
    timeout: number,
  ) => Promise<BothRows<Row> | undefined>
  readonly logger: Logger
}

/** ms without a reading that has failed. */
const PAUSE = 60_000

/** Reads the rows of claimed jobs along with their claim, which saves a round trip. */
export class Prefetch {
  private seesSameRowsAsPool: boolean | undefined
  /** The statements of the readings, and until when they are not to be used. */
  private readonly known = new WeakMap<PrefetchQuery, { readonly text: string; pausedUntil: number }>()

  constructor(private readonly parts: PrefetchParts) {}

  /** What goes with the next claim. */
  next(): PrefetchQuery | undefined {
    const reading = this.parts.wanted()
    if (!reading || !this.maySee()) return undefined
    return this.of(reading).pausedUntil > performance.now() ? undefined : reading
  }

  /** Undefined: nothing was sent. */
  async query<Row>(
    reading: PrefetchQuery,
    text: string,
    values: readonly unknown[],
    timeout: number,
  ): Promise<{ rows: Row[]; read: PrefetchedRows | undefined } | undefined> {
    const known = this.of(reading)
    const both = await this.parts.query<Row>(text, values, { read: known.text, cleanUp: RESTORE_TIMEOUT }, timeout)
    if (!both) {
      this.seesSameRowsAsPool = false
      return undefined
    }
    const { rows, read } = both
    if (!(read instanceof Error)) return { rows, read: { query: reading, rows: read, at: performance.now() } }
    known.pausedUntil = performance.now() + PAUSE
    this.parts.logger.debug({ err: read, entity: reading.entity }, 'rows could not be read along with a claim')
    return { rows, read: undefined }
  }

  private of(reading: PrefetchQuery): { readonly text: string; pausedUntil: number } {
    let known = this.known.get(reading)
    if (!known) this.known.set(reading, (known = { text: reading.select(CLAIMED_KEYS), pausedUntil: -Infinity }))
    return known
  }

  private maySee(): boolean {
    if (this.seesSameRowsAsPool === undefined) {
      this.seesSameRowsAsPool = false
      this.parts.seesSameRowsAsPool().then(
        (isAsPool) => (this.seesSameRowsAsPool = isAsPool),
        () => (this.seesSameRowsAsPool = undefined),
      )
    }
    return this.seesSameRowsAsPool
  }
}
