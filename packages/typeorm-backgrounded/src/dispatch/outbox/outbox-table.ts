import { EntitySchema, type EntitySchemaColumnOptions } from 'typeorm'

/** A job that waits in the database for a handler outside of it. Times are ms since the epoch, by the database's clock. */
export class BackgroundedOutboxRow {
  /** The job's own id. */
  id!: string
  source!: string
  /** The envelope, as JSON. */
  payload!: string
  writtenAt!: number | string
  /** Until then, somebody who has it in hand may push it; after that, any relay may take it. */
  availableAt!: number | string
}

interface ColumnTypes {
  readonly id: EntitySchemaColumnOptions
  readonly source: EntitySchemaColumnOptions
  readonly text: EntitySchemaColumnOptions
  readonly time: EntitySchemaColumnOptions
}

const SQLITE: ColumnTypes = {
  id: { type: 'text' },
  source: { type: 'text' },
  text: { type: 'text' },
  time: { type: 'integer' },
}
const POSTGRES: ColumnTypes = {
  id: { type: 'uuid' },
  source: { type: 'varchar', length: 100 },
  text: { type: 'text' },
  time: { type: 'bigint' },
}
const MARIADB: ColumnTypes = {
  id: { type: 'varchar', length: 36, charset: 'ascii', collation: 'ascii_bin' },
  source: { type: 'varchar', length: 100, charset: 'ascii', collation: 'ascii_bin' },
  text: { type: 'longtext', charset: 'utf8mb4' },
  time: { type: 'bigint' },
}

/** The databases that an outbox works on. */
export type Dialect = 'sqlite' | 'postgres' | 'mariadb'

const DIALECTS: Readonly<Record<string, Dialect>> = {
  'better-sqlite3': 'sqlite',
  postgres: 'postgres',
  mariadb: 'mariadb',
  mysql: 'mariadb',
}

export const OUTBOX_DATABASES = Object.keys(DIALECTS)

/** @param driver the data source's `type` */
export function dialectOf(driver: string): Dialect | undefined {
  return Object.hasOwn(DIALECTS, driver) ? DIALECTS[driver] : undefined
}

/** The table `backgrounded_outbox`, one entity for each kind of database. */
export const OUTBOX_TABLES: Readonly<Record<Dialect, EntitySchema<BackgroundedOutboxRow>>> = {
  sqlite: table(SQLITE),
  postgres: table(POSTGRES),
  mariadb: table(MARIADB),
}

function table({ id, source, text, time }: ColumnTypes): EntitySchema<BackgroundedOutboxRow> {
  return new EntitySchema<BackgroundedOutboxRow>({
    name: 'BackgroundedOutboxRow',
    target: BackgroundedOutboxRow,
    tableName: 'backgrounded_outbox',
    columns: {
      id: { ...id, primary: true },
      source,
      payload: text,
      writtenAt: { ...time, name: 'written_at' },
      availableAt: { ...time, name: 'available_at' },
    },
    // Serves the relays' search for leftovers.
    indices: [{ columns: ['source', 'availableAt'] }],
  })
}
