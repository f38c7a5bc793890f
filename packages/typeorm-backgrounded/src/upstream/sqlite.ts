import type { DataSource } from 'typeorm'

/**
 * What TypeORM's driver shows of better-sqlite3 without promising it: the class that it has loaded, and its one connection.
 * Where they are missing, the data source cannot be attached.
 */
interface Driver {
  readonly databaseConnection: SqliteDatabase
  readonly sqlite: SqliteConstructor
}

/** The part of better-sqlite3's `Database` that is used here. */
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
  /** Rows are arrays from now on. */
  raw(): this
  /** A row is its first column from now on. */
  pluck(): this
  all(...parameters: readonly unknown[]): unknown[]
  get(...parameters: readonly unknown[]): unknown
  run(...parameters: readonly unknown[]): { changes: number }
}

export type SqliteConstructor = new (file: string, options?: object) => SqliteDatabase

/** better-sqlite3's class, and TypeORM's one connection. */
export function sqliteOf({ driver }: DataSource): { Database: SqliteConstructor; shared: SqliteDatabase } {
  const { sqlite, databaseConnection } = driver as unknown as Driver
  return { Database: sqlite, shared: databaseConnection }
}
