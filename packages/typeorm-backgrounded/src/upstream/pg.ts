import type { DataSource } from 'typeorm'
import type { Logger } from '../logger'
import { loadDriver } from './driver-path'
import { missingMember, warnOfMissingMember } from './missing-member'

/**
 * The members of pg, and of TypeORM's driver for it, that their documentation does not promise.
 *
 * | member | what for | where it is missing |
 * |---|---|---|
 * | `dataSource.driver.postgres` | the `pg` that TypeORM has loaded | the `pg` that is installed beside TypeORM is used, and job rows are written by a separate statement, with a warning; without one, attaching fails |
 * | `Client.prototype.escapeLiteral` | job rows are sent in the same text as the COMMIT | they are written by a separate statement |
 * | `client.processID`, `client.secretKey` | the server is asked to cancel a statement that was given up | the server's `statement_timeout` ends it |
 * | `client.connection.stream` | a connection that does not answer is cut at once | it ends when TCP gives it up |
 * | `client.pipeline` | the jobs' rows are prefetched with the claim | they are loaded by a separate statement |
 */
interface Driver {
  readonly postgres?: { readonly Client?: ClientConstructor }
}

/** The part of pg's Client that the library's own connections use. */
export interface PostgresClient extends SessionKey {
  connect(): Promise<unknown>
  query(query: StatementToSend): Promise<{ rows: unknown[] }>
  /** Whether statements are sent without waiting for the answers to earlier ones. Since pg 8.21. */
  readonly pipeline?: boolean
  on(event: 'error' | 'end' | 'notification', listener: (message: never) => void): unknown
  end(): Promise<void>
  readonly connection?: { readonly stream?: { destroy(): void } }
}

/** Identifies a session to the server, or to the pooler in front of it. */
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
 * pg's own JavaScript Client, as TypeORM loaded it. Where pg-native is installed, TypeORM uses its client; the library's
 * own connections never do, because that one can neither give up a running statement nor send several at once.
 * @throws UnsupportedVersionError
 */
export function clientOf(dataSource: DataSource, logger: Logger): ClientConstructor {
  const loaded = loadedClient(dataSource, logger)
  if (escapeOf(loaded)) return loaded as ClientConstructor
  const installed = loadDriver('pg') as { Client: ClientConstructor } | undefined
  const Client = installed?.Client ?? loaded
  if (!Client) throw missingMember('driver.postgres', 'install pg beside it, or ')
  return Client
}

/**
 * Returns a function that writes a text into a statement as this data source's clients would. Returns undefined where they
 * have no `escapeLiteral`, as with pg-native.
 */
export function literalsOf(dataSource: DataSource, logger: Logger): ((value: string | null) => string) | undefined {
  const Client = loadedClient(dataSource, logger)
  const escape = escapeOf(Client)
  return escape && ((value) => (value === null ? 'NULL' : escape.call(Client?.prototype, value)))
}

function loadedClient(dataSource: DataSource, logger: Logger): ClientConstructor | undefined {
  const { postgres } = dataSource.driver as unknown as Driver
  if (!postgres?.Client) {
    warnOfMissingMember(
      dataSource,
      logger,
      'driver.postgres',
      "the library's own connections use the pg that is installed beside it, and jobs cost their transaction one more statement",
    )
  }
  return postgres?.Client
}

/** Cuts a connection on which the server does not answer. */
export function cut({ connection }: PostgresClient): void {
  connection?.stream?.destroy()
}

function escapeOf(Client: ClientConstructor | undefined): ((this: unknown, text: string) => string) | undefined {
  const { escapeLiteral } = (Client?.prototype ?? {}) as { escapeLiteral?: (text: string) => string }
  return typeof escapeLiteral === 'function' ? escapeLiteral : undefined
}
