import type { DataSource } from 'typeorm'

interface Credentials {
  readonly url?: string
  readonly host?: string
  readonly port?: number
  readonly username?: string
  readonly password?: unknown
  readonly database?: string
  readonly ssl?: unknown
}

interface Options extends Credentials {
  readonly connectTimeoutMS?: number
  readonly applicationName?: string
  readonly extra?: object
  readonly replication?: { readonly master: Credentials }
}

const CONNECT_WITHIN = 10_000

/** The options of a connection to the primary, as TypeORM makes them for its own. */
export function clientOptions({ options }: DataSource): object {
  const all = options as unknown as Options
  const { url, host, port, username, password, database, ssl } = { ...all, ...all.replication?.master }
  return {
    connectionString: url,
    host,
    port,
    user: username,
    password,
    database,
    ssl,
    connectionTimeoutMillis: all.connectTimeoutMS ?? CONNECT_WITHIN,
    application_name: all.applicationName,
    keepAlive: true,
    // Early enough for firewalls, which forget idle connections. The system's default is two hours.
    keepAliveInitialDelayMillis: 30_000,
    ...all.extra,
  }
}
