import { NOW as SQLITE_NOW } from './sqlite/now'
import type { EntitySchemaColumnOptions } from 'typeorm'
import { dialectOf, type Dialect } from './dialect'

/** The types of the columns of the plugin's tables. */
export interface ColumnTypes {
  /** A UUID. */
  readonly id: EntitySchemaColumnOptions
  /** Name of a data source. */
  readonly source: EntitySchemaColumnOptions
  /** A name that an index holds; MariaDB's takes up to `LONGEST_NAME` characters. */
  readonly name: EntitySchemaColumnOptions
  /** One of a few words. */
  readonly word: EntitySchemaColumnOptions
  /** Text of any length. */
  readonly text: EntitySchemaColumnOptions
  readonly integer: EntitySchemaColumnOptions
  /** ms since the epoch, by the database's clock. */
  readonly time: EntitySchemaColumnOptions
  /** An expression for a new id, for rows that are written by hand. When absent, such rows must have their own. */
  readonly randomId?: string
  /** The time now, for rows that are written by hand. */
  readonly now: string
}

/** Characters of a queue, an entity or a method. */
export const LONGEST_NAME = 191

// Names are compared byte by byte, in spite of the collation of the schema.
const ASCII = { charset: 'ascii', collation: 'ascii_bin' }
const UNICODE = { charset: 'utf8mb4', collation: 'utf8mb4_bin' }

// TypeORM compares defaults as text with what the database makes of them, and Postgres' with all casts removed: each
// must come back as it stands here, or every `synchronize` would change the table.
export const COLUMN_TYPES: Readonly<Record<Dialect, ColumnTypes>> = {
  sqlite: {
    id: { type: 'text' },
    source: { type: 'text' },
    name: { type: 'text' },
    word: { type: 'text' },
    text: { type: 'text' },
    integer: { type: 'integer' },
    time: { type: 'integer' },
    randomId: '(lower(hex(randomblob(16))))',
    now: `(${SQLITE_NOW})`,
  },
  postgres: {
    id: { type: 'uuid' },
    source: { type: 'varchar', length: 100 },
    name: { type: 'text' },
    word: { type: 'text' },
    text: { type: 'text' },
    integer: { type: 'integer' },
    time: { type: 'bigint' },
    // TypeORM would take a plain gen_random_uuid() for its own default.
    randomId: 'uuid_in(textout(md5(uuid_send(gen_random_uuid()))))',
    now: "(date_part('epoch', clock_timestamp()) * (1000))",
  },
  mariadb: {
    id: { type: 'varchar', length: 36, ...ASCII },
    source: { type: 'varchar', length: 100, ...ASCII },
    name: { type: 'varchar', length: LONGEST_NAME, ...UNICODE },
    word: { type: 'varchar', length: 10, ...ASCII },
    text: { type: 'longtext', charset: 'utf8mb4' },
    integer: { type: 'int' },
    time: { type: 'bigint' },
    randomId: 'uuid()',
    now: "(timestampdiff(MICROSECOND,'1970-01-01',utc_timestamp(6)) DIV 1000)",
  },
}

/** @param driver the data source's `type`, of a database that has a dialect */
export function columnTypes(driver: string): ColumnTypes {
  const types = COLUMN_TYPES[dialectOf(driver) as Dialect]
  // MySQL accepts an expression as a default only in parentheses, and returns it without them.
  return driver === 'mysql' ? { ...types, randomId: undefined, now: '0' } : types
}
