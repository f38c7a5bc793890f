import { MariaDbServer, requireMariaDbServer } from './mariadb-server'
import { PostgresServer, requirePostgresServer } from './postgres-server'

export type DatabaseServer = PostgresServer | MariaDbServer

/** The kinds of database that a test can have a server of its own of. */
export const databaseServers = [
  { name: 'Postgres', start: (): Promise<DatabaseServer> => PostgresServer.start(), require: requirePostgresServer },
  { name: 'MariaDB', start: (): Promise<DatabaseServer> => MariaDbServer.start(), require: requireMariaDbServer },
]
