import type { DataSource } from 'typeorm'
import { driverPath } from '../server/driver-path'
import type { ClientConstructor } from './connection'

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

/** What a connection to the primary is made of, as TypeORM makes its own. */
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
    // Before a firewall forgets a connection that is idle. The system's own default is two hours.
    keepAliveInitialDelayMillis: 30_000,
    ...all.extra,
  }
}

interface Driver {
  readonly postgres: { readonly Client: ClientConstructor }
}

/**
 * pg's own, as TypeORM loaded it. TypeORM takes the native one as soon as pg-native is installed, which can neither be
 * given up in the middle of a statement nor send several: the library's own connections never use it.
 */
export function clientOf({ driver }: DataSource): ClientConstructor {
  const { Client } = (driver as unknown as Driver).postgres
  const path = isNative(Client) ? driverPath('pg') : undefined
  return path ? (require(path) as Driver['postgres']).Client : Client
}

function isNative({ prototype }: ClientConstructor): boolean {
  return !('escapeLiteral' in (prototype as object))
}
