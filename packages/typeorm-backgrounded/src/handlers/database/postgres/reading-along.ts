import type { Logger } from '../../../logger'
import type { RowReading, RowsRead } from '../../handler'
import type { BothRows } from './connection'
import { CLAIMED_KEYS, END_OF_READING } from './statements'

export interface ReadingParts {
  /** Which rows the worker is likely to need. */
  readonly wanted: () => RowReading | undefined
  /** Whether the rows are the same to this connection as to those of the data source's pool. */
  readonly isAsPool: () => Promise<boolean>
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
export class ReadingAlong {
  private isAsPool: boolean | undefined
  /** The statements of the readings, and until when they are not to be used. */
  private readonly known = new WeakMap<RowReading, { readonly text: string; pausedUntil: number }>()

  constructor(private readonly parts: ReadingParts) {}

  /** What goes with the next claim. */
  next(): RowReading | undefined {
    const reading = this.parts.wanted()
    if (!reading || !this.maySee()) return undefined
    return this.of(reading).pausedUntil > performance.now() ? undefined : reading
  }

  /** Undefined: nothing was sent. */
  async query<Row>(
    reading: RowReading,
    text: string,
    values: readonly unknown[],
    timeout: number,
  ): Promise<{ rows: Row[]; read: RowsRead | undefined } | undefined> {
    const known = this.of(reading)
    const both = await this.parts.query<Row>(text, values, { read: known.text, cleanUp: END_OF_READING }, timeout)
    if (!both) {
      this.isAsPool = false
      return undefined
    }
    const { rows, read } = both
    if (!(read instanceof Error)) return { rows, read: { reading, rows: read, at: performance.now() } }
    known.pausedUntil = performance.now() + PAUSE
    this.parts.logger.debug({ err: read, entity: reading.entity }, 'rows could not be read along with a claim')
    return { rows, read: undefined }
  }

  private of(reading: RowReading): { readonly text: string; pausedUntil: number } {
    let known = this.known.get(reading)
    if (!known) this.known.set(reading, (known = { text: reading.select(CLAIMED_KEYS), pausedUntil: -Infinity }))
    return known
  }

  private maySee(): boolean {
    if (this.isAsPool === undefined) {
      this.isAsPool = false
      this.parts.isAsPool().then(
        (isAsPool) => (this.isAsPool = isAsPool),
        () => (this.isAsPool = undefined),
      )
    }
    return this.isAsPool
  }
}
