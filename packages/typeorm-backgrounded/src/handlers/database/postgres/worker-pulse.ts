import type { Pulse } from '../../heartbeat/heart'
import { PostgresConnection } from '../../../database/postgres/connection'
import type { ClientConstructor } from '../../../upstream/pg'
import type { JobTables } from '../tables'
import { PostgresJobs, type PostgresWorkerOptions, type Query } from './postgres-jobs'
import { postgresStatements } from './statements'

/** Cloneable, unless the connection options hold functions. */
export interface PulseData {
  /** Where pg is. */
  readonly pg: string
  /** pg's own. */
  readonly client: object
  readonly tables: JobTables
  /** It is this worker's own, and no pooler's. */
  readonly ownsSession: boolean
  readonly jobs: PostgresWorkerOptions
}

/** Beats for a worker, over a connection of its own. What is wrong with it, the worker's own will say. */
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
