import type { EntitySchema } from 'typeorm'
import { COLUMN_TYPES } from '../database/column-types'
import type { Dialect } from '../database/dialect'
import { tableEntity } from '../database/table-entity'

/** A job that waits in the database for a handler outside of it. Times are ms since the epoch, by the database's clock. */
export class BackgroundedOutboxRow {
  /** The job's own id. */
  id!: string
  source!: string
  /** Of the handler that it is for: others leave it alone. Empty, as in a row that was written by hand: for any. */
  destination!: string
  /** The envelope, as JSON. */
  payload!: string
  writtenAt!: number | string
  /** Until then, somebody who has it in hand may push it; after that, any relay may take it. */
  availableAt!: number | string
}

/** The table `backgrounded_outbox`, one entity for each kind of database. */
export const OUTBOX_TABLES: Readonly<Record<Dialect, EntitySchema<BackgroundedOutboxRow>>> = {
  sqlite: table('sqlite'),
  postgres: table('postgres'),
  mariadb: table('mariadb'),
}

function table(dialect: Dialect): EntitySchema<BackgroundedOutboxRow> {
  const { id, source, name, text, time } = COLUMN_TYPES[dialect]
  return tableEntity(BackgroundedOutboxRow, {
    name: 'BackgroundedOutboxRow',
    tableName: 'backgrounded_outbox',
    columns: {
      id: { ...id, primary: true },
      source,
      payload: text,
      writtenAt: { ...time, name: 'written_at' },
      availableAt: { ...time, name: 'available_at' },
      destination: { ...name, default: '' },
    },
    // Serves the relays' search for leftovers.
    indices: [{ columns: ['source', 'destination', 'availableAt'] }],
  })
}
