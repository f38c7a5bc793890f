import { isConflictError } from '../../../database-errors'
import type { Logger } from '../../../logger'
import { isAnswer } from '../../../postgres-piggyback/answer'
import type { RowReading, RowsRead } from '../../handler'
import type { BothRows } from './query-and-reading'
import { CLAIMED_KEYS } from './statements'

export interface ReadingParts {
  /** Which rows the worker is likely to need. */
  readonly wanted: () => RowReading | undefined
  /** Whether the rows are the same to this connection as to those of the data source's pool. */
  readonly isAsPool: () => Promise<boolean>
  /** Sends both in one message. */
  readonly query: <Row>(
    text: string,
    values: readonly unknown[],
    reading: string,
    timeout: number,
  ) => Promise<BothRows<Row>>
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

  /** Nothing: the reading stood in the way, and nothing has happened. */
  async query<Row>(
    reading: RowReading,
    text: string,
    values: readonly unknown[],
    timeout: number,
  ): Promise<{ rows: Row[]; read: RowsRead } | undefined> {
    const known = this.of(reading)
    try {
      const { rows, read } = await this.parts.query<Row>(text, values, known.text, timeout)
      return { rows, read: { reading, rows: read, at: performance.now() } }
    } catch (error) {
      if (isConflictError(error)) return undefined // it was none of the reading's
      known.pausedUntil = performance.now() + PAUSE
      this.parts.logger.debug({ err: error, entity: reading.entity }, 'rows could not be read along with a claim')
      if (!isAnswer(error)) throw error
      return undefined
    }
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
