import type { DataSource } from 'typeorm'
import type { Logger } from '../logger'
import { loadDriver } from './driver-path'
import { missingMember, warnOfMissingMember } from './missing-member'

/**
 * The members of TypeORM's driver for better-sqlite3 that its documentation does not promise.
 *
 * | member | what for | where it is missing |
 * |---|---|---|
 * | `dataSource.driver.sqlite` | the `better-sqlite3` that TypeORM has loaded | the one that is installed beside TypeORM is used, with a warning; without one, attaching fails |
 * | `dataSource.driver.databaseConnection` | TypeORM's one connection | attaching fails |
 */
interface Driver {
  readonly databaseConnection?: SqliteDatabase
  readonly sqlite?: SqliteConstructor
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

/**
 * better-sqlite3's class, as TypeORM loaded it.
 * @throws UnsupportedVersionError
 */
export function databaseClassOf(dataSource: DataSource, logger: Logger): SqliteConstructor {
  const { sqlite } = dataSource.driver as unknown as Driver
  if (sqlite) return sqlite
  const installed = loadDriver('better-sqlite3') as SqliteConstructor | undefined
  if (!installed) throw missingMember('driver.sqlite', 'install better-sqlite3 beside it, or ')
  warnOfMissingMember(
    dataSource,
    logger,
    'driver.sqlite',
    "the library's own connection uses the better-sqlite3 that is installed beside it",
  )
  return installed
}

/**
 * TypeORM's one connection.
 * @throws UnsupportedVersionError
 */
export function sharedConnectionOf({ driver }: DataSource): SqliteDatabase {
  const { databaseConnection } = driver as unknown as Driver
  if (!databaseConnection) throw missingMember('driver.databaseConnection')
  return databaseConnection
}

/** Whether the one connection of a data source is in a transaction. Undefined where its driver does not say so. */
export function isInTransaction({ driver }: DataSource): boolean | undefined {
  const { databaseConnection } = driver as unknown as Partial<Driver>
  return databaseConnection?.inTransaction
}
