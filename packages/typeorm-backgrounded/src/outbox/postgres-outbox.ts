import type { DataSource, QueryRunner } from 'typeorm'
import { MOMENT } from '../database/postgres/now'
import { tableNames } from '../database/table-names'
import { literalsOf } from '../upstream/pg'
import { OwnConnection } from './own-connection'
import type { NewRow, OutboxStore, OutboxStoreHost, TakenRow } from './outbox-store'
import { BackgroundedOutboxRow } from './outbox-table'

/** On Postgres. */
export class PostgresOutbox implements OutboxStore {
  readonly statement: OutboxStore['statement']
  private readonly connection: OwnConnection
  private readonly sql: ReturnType<typeof statements>

  constructor(
    dataSource: DataSource,
    private readonly host: OutboxStoreHost,
  ) {
    this.connection = new OwnConnection(dataSource, host)
    this.sql = statements(tableNames(dataSource, BackgroundedOutboxRow))
    const literal = literalsOf(dataSource, host.logger)
    this.statement = literal && ((rows, lease) => this.insertStatement(rows, lease, literal))
  }

  async insertInTransaction(rows: readonly NewRow[], lease: number, transaction: QueryRunner): Promise<void> {
    await transaction.query(...this.insertion(rows, lease))
  }

  async insertCommitted(rows: readonly NewRow[]): Promise<void> {
    await this.connection.query(...this.insertion(rows, 0))
  }

  async take(limit: number, lease: number, ids?: readonly string[]): Promise<TakenRow[]> {
    const found = ids
      ? await this.connection.query(this.sql.takeThese, [ids, lease])
      : await this.connection.query(this.sql.take, [this.host.source, limit, lease, this.host.destination])
    // UPDATE … RETURNING answers with the rows and their number.
    const [rows] = found as [{ id: string; payload: string; age: string }[], number]
    return rows
      .map(({ id, payload, age }) => ({ id, payload, age: Number(age) }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  async release(ids: readonly string[], delay: number): Promise<void> {
    await this.connection.query(this.sql.release, [ids, delay])
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.connection.query(this.sql.remove, [ids])
  }

  async stranded(age: number): Promise<string | undefined> {
    const { source, destination } = this.host
    const found = await this.connection.query(this.sql.stranded, [source, destination, age])
    return (found as { destination: string }[])[0]?.destination
  }

  async check(): Promise<void> {
    await this.connection.query(this.sql.check)
  }

  close(): void {}

  private insertStatement(rows: readonly NewRow[], lease: number, literal: (value: string) => string): string {
    const { source, destination } = this.host
    const common = [literal(source), literal(destination), String(lease)] as const
    const [row] = rows
    return row && rows.length === 1
      ? this.sql.insertOne(...common, literal(row.id), literal(row.payload))
      : this.sql.insert(...common, literal(JSON.stringify(rows)))
  }

  private insertion(rows: readonly NewRow[], lease: number): [sql: string, parameters: unknown[]] {
    const { source, destination } = this.host
    return [this.sql.insert('$1', '$2', '$3', '$4'), [source, destination, String(lease), JSON.stringify(rows)]]
  }
}

/** Every statement, by name. */
export function statements({ table, columns: c }: ReturnType<typeof tableNames<BackgroundedOutboxRow>>) {
  const returning = `RETURNING t.${c.id} AS id, t.${c.payload} AS payload, ${MOMENT} - t.${c.writtenAt} AS age`
  const into = `INSERT INTO ${table} (${c.id}, ${c.source}, ${c.destination}, ${c.payload}, ${c.writtenAt}, ${c.availableAt})`
  const values = (source: string, destination: string, payload: string, lease: string) =>
    `${source}, ${destination}, ${payload}, ${MOMENT}, ${MOMENT} + ${lease}::bigint`
  const due = (destination: string) =>
    `(SELECT ${c.id} AS id FROM ${table} WHERE ${c.source} = $1 AND ${c.destination} = ${destination} AND ${c.availableAt} <= ${MOMENT} ` +
    `ORDER BY ${c.availableAt}, ${c.id} LIMIT $2 FOR UPDATE SKIP LOCKED)`
  const overdue = (condition: string) =>
    `(SELECT ${c.destination} AS destination FROM ${table} WHERE ${c.source} = $1 AND ${condition} ` +
    `AND ${c.availableAt} <= ${MOMENT} - $3::bigint LIMIT 1)`
  return {
    /** Inserts a JSON array of rows. */
    insert: (source: string, destination: string, lease: string, rows: string) =>
      `${into} SELECT job.id, ${values(source, destination, 'job.payload', lease)} FROM json_to_recordset(${rows}::json) AS job (id uuid, payload text) ON CONFLICT DO NOTHING`,
    /** A plain row takes the server less time to plan. */
    insertOne: (source: string, destination: string, lease: string, id: string, payload: string) =>
      `${into} VALUES (${id}::uuid, ${values(source, destination, `${payload}::text`, lease)}) ON CONFLICT DO NOTHING`,
    // The index (source, destination, available_at). Materialized, because the limit may otherwise be applied more than once.
    take:
      `WITH own AS MATERIALIZED ${due('$4')}, unaddressed AS MATERIALIZED ${due("''")}, ` +
      `due AS MATERIALIZED (SELECT id FROM own UNION ALL SELECT id FROM unaddressed LIMIT $2) ` +
      `UPDATE ${table} t SET ${c.availableAt} = ${MOMENT} + $3::bigint FROM due WHERE t.${c.id} = due.id ${returning}`,
    // The primary key.
    takeThese:
      `UPDATE ${table} t SET ${c.availableAt} = ${MOMENT} + $2::bigint ` +
      `WHERE t.${c.id} = ANY($1::uuid[]) AND t.${c.availableAt} <= ${MOMENT} ${returning}`,
    release: `UPDATE ${table} SET ${c.availableAt} = ${MOMENT} + $2::bigint WHERE ${c.id} = ANY($1::uuid[])`,
    remove: `DELETE FROM ${table} WHERE ${c.id} = ANY($1::uuid[])`,
    // The index (source, destination, available_at).
    stranded: `${overdue(`${c.destination} > $2`)} UNION ALL ${overdue(`${c.destination} > '' AND ${c.destination} < $2`)}`,
    check: `SELECT ${Object.values(c).join(', ')} FROM ${table} WHERE 1 = 0`,
  }
}
