import type { Pulse } from '../../heartbeat/heart'
import { PostgresConnection } from '../../../database/postgres/connection'
import type { ClientConstructor } from '../../../upstream/pg'
import type { JobTables } from '../tables'
import { PostgresJobs, type PostgresWorkerOptions, type Query } from './postgres-jobs'
import { postgresStatements } from './statements'

/** Can be sent to a thread, unless the connection options hold functions. */
export interface PulseData {
  /** Path of pg's main file. */
  readonly pg: string
  /** pg's connection options. */
  readonly client: object
  readonly tables: JobTables
  /** False behind a pooler, which hands sessions from one client to the next. */
  readonly ownsSession: boolean
  readonly jobs: PostgresWorkerOptions
}

/**
 * Beats for a worker, over a connection of its own. Its errors are not logged: the worker's own connection has the same
 * ones.
 */
export function postgresPulse({ pg, client, ownsSession, tables, jobs }: PulseData): Pulse {
  const { Client } = require(pg) as { Client: ClientConstructor }
  const connection = new PostgresConnection({
    Client,
    client,
    session: { isOwned: ownsSession },
    patience: jobs.lease / 4,
    isAdHoc: true,
  })
  const query: Query = (text, values, timeout) => connection.query(text, values, timeout)
  const table = new PostgresJobs({ ...jobs, query, sql: postgresStatements(tables) })
  return { beat: () => table.beat(), close: () => connection.close() }
}
