import type { DataSource } from 'typeorm'
import { driverPath } from './driver-path'

/**
 * The members of pg, and of TypeORM's driver for it, that their documentation does not promise.
 *
 * | member | what for | where it is missing |
 * |---|---|---|
 * | `dataSource.driver.postgres` | the `pg` that TypeORM has loaded | the data source cannot be attached |
 * | `Client.prototype.escapeLiteral` | rows travel with their COMMIT | they are written by a statement of their own |
 * | `client.processID`, `client.secretKey` | a statement that is given up is ended on the server | the server's `statement_timeout` ends it |
 * | `client.connection.stream` | a connection that does not answer is cut at once | it ends when TCP gives it up |
 * | `client.pipeline` | rows are read along with the claim | they are read by a statement of their own |
 */
interface Driver {
  readonly postgres?: { readonly Client?: ClientConstructor }
}

/** The part of pg's Client that the library's own connections use. */
export interface PostgresClient extends SessionKey {
  connect(): Promise<unknown>
  query(query: StatementToSend): Promise<{ rows: unknown[] }>
  /** Statements are sent without waiting for the answers to those before. Since pg 8.21. */
  readonly pipeline?: boolean
  on(event: 'error' | 'end' | 'notification', listener: (message: never) => void): unknown
  end(): Promise<void>
  readonly connection?: { readonly stream?: { destroy(): void } }
}

/** What names a session to the server, or to the pooler before it. */
export interface SessionKey {
  readonly host?: string
  readonly port?: number
  readonly processID?: number | null
  readonly secretKey?: number | null
}

export interface StatementToSend {
  readonly name?: string
  readonly text: string
  readonly values?: readonly unknown[]
}

export type ClientConstructor = new (options: object) => PostgresClient

/**
 * pg's own Client, as TypeORM loaded it. TypeORM takes the native one as soon as pg-native is installed, which can
 * neither be given up in the middle of a statement nor send several: the library's own connections never use it.
 */
export function clientOf({ driver }: DataSource): ClientConstructor {
  const { Client } = (driver as unknown as Driver).postgres as { Client: ClientConstructor }
  const path = escapeOf(Client) ? undefined : driverPath('pg')
  return path ? (require(path) as { Client: ClientConstructor }).Client : Client
}

/**
 * A text as this data source's clients write it into a statement. Undefined where they have no such method, as those of
 * pg-native.
 */
export function literalsOf({ driver }: DataSource): ((value: string | null) => string) | undefined {
  const { Client } = (driver as unknown as Driver).postgres ?? {}
  const escape = escapeOf(Client)
  return escape && ((value) => (value === null ? 'NULL' : escape.call(Client?.prototype, value)))
}

/** Cuts a connection that nobody answers on. */
export function cut({ connection }: PostgresClient): void {
  connection?.stream?.destroy()
}

function escapeOf(Client: ClientConstructor | undefined): ((this: unknown, text: string) => string) | undefined {
  const { escapeLiteral } = (Client?.prototype ?? {}) as { escapeLiteral?: (text: string) => string }
  return typeof escapeLiteral === 'function' ? escapeLiteral : undefined
}
