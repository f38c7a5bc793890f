import type { DataSource } from 'typeorm'

/**
 * The members of TypeORM's driver for better-sqlite3 that its documentation does not promise: the class that it has
 * loaded, and its one connection. Where they are missing, the data source cannot be attached.
 */
interface Driver {
  readonly databaseConnection: SqliteDatabase
  readonly sqlite: SqliteConstructor
}

/** The part of better-sqlite3's `Database` that this library uses. */
export interface SqliteDatabase {
  readonly inTransaction: boolean
  readonly memory: boolean
  readonly name: string
  prepare(sql: string): SqliteStatement
  exec(sql: string): unknown
  pragma(source: string, options?: { simple?: boolean }): unknown
  close(): unknown
}

export interface SqliteStatement {
  /** From now on, each row is returned as an array. */
  raw(): this
  /** From now on, only the first column of each row is returned. */
  pluck(): this
  all(...parameters: readonly unknown[]): unknown[]
  get(...parameters: readonly unknown[]): unknown
  run(...parameters: readonly unknown[]): { changes: number }
}

export type SqliteConstructor = new (file: string, options?: object) => SqliteDatabase

/** better-sqlite3's class, and the one connection that TypeORM has. */
export function sqliteOf({ driver }: DataSource): { Database: SqliteConstructor; shared: SqliteDatabase } {
  const { sqlite, databaseConnection } = driver as unknown as Driver
  return { Database: sqlite, shared: databaseConnection }
}
