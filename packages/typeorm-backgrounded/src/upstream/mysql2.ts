import type { DataSource } from 'typeorm'
import type { Logger } from '../logger'
import { loadDriver } from './driver-path'
import { missingMember, warnOfMissingMember } from './missing-member'

/**
 * The members of mysql2, and of TypeORM's driver for it, that their documentation does not promise.
 *
 * | member | what for | where it is missing |
 * |---|---|---|
 * | `dataSource.driver.mysql` | the `mysql2` that TypeORM has loaded | the `mysql2` that is installed beside TypeORM is used, with a warning; without one, attaching fails |
 * | `connection.threadId` | the server is asked to end a statement that was given up | the server's own limits end it |
 */
interface Driver {
  readonly mysql?: Mysql
}

/** The part of mysql2's connection that the library's own connections use. */
export interface MysqlClient {
  connect(callback: (error: Error | null) => void): void
  query(
    options: { sql: string; values?: readonly unknown[]; timeout?: number },
    callback: (error: Error | null, result: unknown) => void,
  ): void
  on(event: 'error' | 'end', listener: () => void): void
  /** The server's number for this connection, which `KILL QUERY` needs. */
  readonly threadId: number | null
  end(callback: () => void): void
  destroy(): void
}

export interface Mysql {
  createConnection(options: object): MysqlClient
}

/**
 * mysql2, as TypeORM loaded it.
 * @throws UnsupportedVersionError
 */
export function mysqlOf(dataSource: DataSource, logger: Logger): Mysql {
  const { mysql } = dataSource.driver as unknown as Driver
  if (mysql) return mysql
  const installed = loadDriver('mysql2') as Mysql | undefined
  if (!installed) throw missingMember('driver.mysql', 'install mysql2 beside it, or ')
  warnOfMissingMember(
    dataSource,
    logger,
    'driver.mysql',
    "the library's own connections use the mysql2 that is installed beside it",
  )
  return installed
}
