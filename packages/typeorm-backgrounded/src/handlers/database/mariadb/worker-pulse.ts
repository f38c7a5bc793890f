import type { Pulse } from '../../heartbeat/heart'
import type { JobTables } from '../tables'
import { MariaDbJobs, type MariaDbJobsOptions } from './mariadb-jobs'
import type { Mysql } from '../../../upstream/mysql2'
import { OwnSession } from './session'
import { mariaDbStatements } from './statements'

/** Cloneable, unless the connection options hold functions. */
export interface PulseData {
  /** Where mysql2 is. */
  readonly mysql2: string
  /** mysql2's own. */
  readonly connection: object
  readonly tables: JobTables
  readonly jobs: MariaDbJobsOptions
}

/** Beats for a worker, over a connection of its own. What is wrong with it, the worker's own will say. */
export function mariaDbPulse({ mysql2, connection, tables, jobs }: PulseData): Pulse {
  const session = new OwnSession(require(mysql2) as Mysql, connection)
  const table = new MariaDbJobs(() => session, mariaDbStatements(tables), jobs)
  return { beat: () => table.beat(), close: () => session.close() }
}
