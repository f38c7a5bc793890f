import type { EntitySchema } from 'typeorm'
import { COLUMN_TYPES } from '../database/column-types'
import type { Dialect } from '../database/dialect'
import { tableEntity } from '../database/table-entity'

/** A job that waits in the database for a handler outside of it. Times are ms since the epoch, by the database's clock. */
export class BackgroundedOutboxRow {
  /** The job's own id. */
  id!: string
  source!: string
  /** Destination of the handler that it is for. Empty for any handler, as in a row that was written by hand. */
  destination!: string
  /** The envelope, as JSON. */
  payload!: string
  writtenAt!: number | string
  /** When the lease of the row ends. After that, any relay may take the row. */
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
    // Serves relays, which search for rows whose leases have ended.
    indices: [{ columns: ['source', 'destination', 'availableAt'] }],
  })
}
