import type { DataSource, QueryRunner } from 'typeorm'
import { lacksBackslashEscapes, SQL_MODE, withoutEscapes } from '../database/mariadb/backslash-escapes'
import { isAscii } from '../job/ascii-json'
import { BY_KEY } from '../database/mariadb/by-key'
import { NOW } from '../database/mariadb/now'
import { tableNames } from '../database/table-names'
import { OwnConnection } from './own-connection'
import type { NewRow, OutboxStore, OutboxStoreHost, TakenRow } from './outbox-store'
import { BackgroundedOutboxRow } from './outbox-table'

/** On MariaDB 10.6 and MySQL 8. */
export class MariaDbOutbox implements OutboxStore {
  private readonly connection: OwnConnection
  private knownEscapes: boolean | undefined
  private readonly sql: ReturnType<typeof statements>

  constructor(
    dataSource: DataSource,
    private readonly host: OutboxStoreHost,
  ) {
    this.connection = new OwnConnection(dataSource, host)
    this.sql = statements(tableNames(dataSource, BackgroundedOutboxRow))
  }

  async insertInTransaction(rows: readonly NewRow[], lease: number, transaction: QueryRunner): Promise<void> {
    const isEscaped = await this.isEscaped(transaction)
    await transaction.query(...this.insertion(rows, lease, isEscaped))
  }

  async insertCommitted(rows: readonly NewRow[]): Promise<void> {
    await this.connection.use(async (runner) => {
      await runner.query(...this.insertion(rows, 0, await this.isEscaped(runner)))
    })
  }

  take(limit: number, lease: number, ids?: readonly string[]): Promise<TakenRow[]> {
    return this.inTransaction(async (runner) => {
      const found = ids
        ? ((await runner.query(this.sql.findThese(ids.length), [...ids])) as FoundRow[])
        : await this.find(runner, limit)
      const rows = found.map((row) => ({ ...row, age: Number(row.age) }))
      if (rows.length > 0) await runner.query(this.sql.lease(rows.length), [lease, ...rows.map(({ id }) => id)])
      return rows
    })
  }

  async release(ids: readonly string[], delay: number): Promise<void> {
    if (ids.length > 0) await this.alone(this.sql.lease(ids.length), [delay, ...ids])
  }

  async remove(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.alone(this.sql.remove(ids.length), [...ids, this.host.source])
  }

  async stranded(age: number): Promise<string | undefined> {
    const { source, destination } = this.host
    const values = [source, destination, age, source, destination, age]
    const found = await this.connection.query(this.sql.stranded, values)
    return (found as { destination: string }[])[0]?.destination
  }

  async check(): Promise<void> {
    await this.connection.query(this.sql.check)
  }

  close(): void {}

  private insertion(rows: readonly NewRow[], lease: number, isEscaped: boolean): [sql: string, parameters: unknown[]] {
    const { source, destination } = this.host
    // As bytes, because the charset of the application's connection does not change them.
    const name = isAscii(destination) ? destination : Buffer.from(destination)
    const values = rows.flatMap(({ id, payload }) => [id, source, name, payload, lease])
    return [this.sql.insert(rows.length), isEscaped ? values : values.map(withoutEscapes)]
  }

  /** Read once, because all connections of a pool are set up in the same way. */
  private async isEscaped(runner: QueryRunner): Promise<boolean> {
    if (this.knownEscapes === undefined) {
      const [row] = (await runner.query(SQL_MODE)) as { mode: string }[]
      this.knownEscapes = !lacksBackslashEscapes(row?.mode)
    }
    return this.knownEscapes
  }

  /** Rows for this destination come first. */
  private async find(runner: QueryRunner, limit: number): Promise<FoundRow[]> {
    const { source, destination } = this.host
    const own = (await runner.query(this.sql.find, [source, destination, limit])) as FoundRow[]
    if (own.length === limit) return own
    return [...own, ...((await runner.query(this.sql.find, [source, '', limit - own.length])) as FoundRow[])]
  }

  private async alone(sql: string, parameters: unknown[]): Promise<void> {
    await this.connection.use(async (runner) => {
      await runner.query(READ_COMMITTED)
      await runner.query(sql, parameters)
    })
  }

  /** With statements, because TypeORM would notify the application's subscribers of a transaction that is not theirs. */
  private inTransaction<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    return this.connection.use(async (runner) => {
      await runner.query(READ_COMMITTED)
      await runner.query('START TRANSACTION')
      try {
        const result = await work(runner)
        await runner.query('COMMIT')
        return result
      } catch (error) {
        await runner.query('ROLLBACK').catch(() => {})
        throw error
      }
    })
  }
}

interface FoundRow extends NewRow {
  readonly age: string | number
}

/** For the next transaction only. At REPEATABLE READ, gap locks would block the callers' inserts. */
const READ_COMMITTED = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED'

/** Every statement, by name. */
export function statements({ table, columns: c }: ReturnType<typeof tableNames<BackgroundedOutboxRow>>) {
  const list = (length: number, each = '?') => Array(length).fill(each).join(', ')
  const row = `${c.id} AS id, ${c.payload} AS payload, ${NOW} - ${c.writtenAt} AS age`
  const overdue = (condition: string) =>
    `(SELECT ${c.destination} AS destination FROM ${table} WHERE ${c.source} = ? AND ${condition} ` +
    `AND ${c.availableAt} <= ${NOW} - ? LIMIT 1)`
  return {
    insert: (rows: number) =>
      `INSERT INTO ${table} (${c.id}, ${c.source}, ${c.destination}, ${c.payload}, ${c.writtenAt}, ${c.availableAt}) ` +
      `VALUES ${list(rows, `(?, ?, ?, ?, ${NOW}, ${NOW} + ?)`)} ` +
      `ON DUPLICATE KEY UPDATE ${c.id} = ${c.id}`,
    // The index (source, destination, available_at).
    find:
      `SELECT ${row} FROM ${table} WHERE ${c.source} = ? AND ${c.destination} = ? AND ${c.availableAt} <= ${NOW} ` +
      `ORDER BY ${c.availableAt}, ${c.id} LIMIT ? FOR UPDATE SKIP LOCKED`,
    // The primary key.
    findThese: (rows: number) =>
      `SELECT ${row} FROM ${table} ${BY_KEY} WHERE ${c.id} IN (${list(rows)}) AND ${c.availableAt} <= ${NOW} FOR UPDATE SKIP LOCKED`,
    lease: (rows: number) =>
      `UPDATE ${table} ${BY_KEY} SET ${c.availableAt} = ${NOW} + ? WHERE ${c.id} IN (${list(rows)})`,
    remove: (rows: number) =>
      `DELETE o FROM ${table} o ${BY_KEY} WHERE o.${c.id} IN (${list(rows)}) AND o.${c.source} = ?`,
    // The index (source, destination, available_at).
    stranded: `${overdue(`${c.destination} > ?`)} UNION ALL ${overdue(`${c.destination} > '' AND ${c.destination} < ?`)}`,
    check: `SELECT ${Object.values(c).join(', ')} FROM ${table} WHERE 1 = 0`,
  }
}
