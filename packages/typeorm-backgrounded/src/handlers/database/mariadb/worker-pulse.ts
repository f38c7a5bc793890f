import type { Pulse } from '../../heartbeat/heart'
import type { JobTables } from '../tables'
import { MariaDbJobs, type MariaDbJobsOptions } from './mariadb-jobs'
import type { Mysql } from '../../../upstream/mysql2'
import { OwnSession } from './session'
import { mariaDbStatements } from './statements'

/** Can be sent to a thread, unless the connection options hold functions. */
export interface PulseData {
  /** Path of mysql2's main file. */
  readonly mysql2: string
  /** mysql2's connection options. */
  readonly connection: object
  readonly tables: JobTables
  readonly jobs: MariaDbJobsOptions
}

/**
 * Beats for a worker, over a connection of its own. Its errors are not logged: the worker's own connection has the same
 * ones.
 */
export function mariaDbPulse({ mysql2, connection, tables, jobs }: PulseData): Pulse {
  const session = new OwnSession(require(mysql2) as Mysql, connection)
  const table = new MariaDbJobs(() => session, mariaDbStatements(tables), jobs)
  return { beat: () => table.beat(), close: () => session.close() }
}
