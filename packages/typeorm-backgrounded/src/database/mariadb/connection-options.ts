import type { DataSource } from 'typeorm'

interface Credentials {
  readonly url?: string
  readonly host?: string
  readonly port?: number
  readonly username?: string
  readonly password?: string
  readonly database?: string
  readonly socketPath?: string
}

interface Options extends Credentials {
  readonly connectTimeout?: number
  readonly ssl?: unknown
  readonly flags?: readonly string[]
  readonly extra?: object
  readonly replication?: { readonly master: Credentials }
}

const CONNECT_WITHIN = 10_000

/** The options of a connection to the primary, as TypeORM makes them for its own. */
export function connectionOptions({ options, driver }: DataSource): object {
  const all = options as unknown as Options
  const { url, host, port, username, password, database, socketPath } = { ...all, ...all.replication?.master }
  const given = {
    uri: url,
    host,
    port,
    user: username,
    password,
    database: database ?? driver.database,
    socketPath,
    ssl: all.ssl,
    flags: all.flags,
  }
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    connectTimeout: all.connectTimeout ?? CONNECT_WITHIN,
    enableKeepAlive: true,
    ...all.extra,
    // The charset of the connection, because names of queues and texts of jobs may hold any character.
    charset: 'utf8mb4',
    // Times in ms since the epoch fit into JavaScript's numbers.
    supportBigNumbers: true,
    bigNumberStrings: false,
  }
}
