import type { DataSource, QueryRunner } from 'typeorm'
import { SqliteConnection } from '../database/sqlite/connection'
import { tableNames } from '../database/table-names'
import type { NewRow, OutboxStore, OutboxStoreHost, TakenRow } from './outbox-store'
import { BackgroundedOutboxRow } from './outbox-table'

/** How many ms to retry while another process is SQLite's one writer. Rows that stay are relayed. */
const PATIENCE = 10_000

/**
 * On SQLite. All code of a process shares one connection and so one transaction: what is not the caller's own
 * write goes over a connection beside it.
 */
export class SqliteOutbox implements OutboxStore {
  private readonly connection: SqliteConnection
  private readonly sql: ReturnType<typeof statements>

  constructor(
    dataSource: DataSource,
    private readonly host: OutboxStoreHost,
  ) {
    this.connection = new SqliteConnection({ ...host, dataSource })
    this.sql = statements(tableNames(dataSource, BackgroundedOutboxRow))
  }

  async insertInTransaction(rows: readonly NewRow[], lease: number, transaction: QueryRunner): Promise<void> {
    const now = Date.now()
    const { source, destination } = this.host
    await transaction.query(this.sql.insert, [source, destination, now, now + lease, JSON.stringify(rows)])
  }

  async insertCommitted(rows: readonly NewRow[]): Promise<void> {
    const now = Date.now()
    const { source, destination } = this.host
    await this.run(this.sql.insert, [source, destination, now, now, JSON.stringify(rows)])
  }

  async take(limit: number, lease: number, ids?: readonly string[]): Promise<TakenRow[]> {
    const now = Date.now()
    const { source, destination } = this.host
    // Reads first, because reading blocks no other process, but taking a row makes this process SQLite's one writer.
    const isAny = ids ?? (await this.connection.read((run) => run(this.sql.find).get(source, destination, now)))
    if (!isAny) return []
    const found = await this.connection.write((run) => {
      if (!ids) {
        const values = [source, destination, now, limit, source, '', now, limit, limit]
        return run(this.sql.take).all(now + lease, ...values)
      }
      return run(this.sql.takeThese).all(now + lease, JSON.stringify(ids), now)
    }, PATIENCE)
    const rows = found as { id: string; payload: string; writtenAt: number }[]
    return rows.map(({ id, payload, writtenAt }) => ({ id, payload, age: now - writtenAt })).sort(byId)
  }

  async release(ids: readonly string[], delay: number): Promise<void> {
    await this.run(this.sql.release, [Date.now() + delay, JSON.stringify(ids)])
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.run(this.sql.remove, [JSON.stringify(ids)])
  }

  async stranded(age: number): Promise<string | undefined> {
    const { source, destination } = this.host
    const values = [source, destination, Date.now() - age]
    const found = await this.connection.read((run) => run(this.sql.stranded).get(...values, ...values))
    return (found as { destination: string } | undefined)?.destination
  }

  async check(): Promise<void> {
    await this.connection.read((run) => run(this.sql.check).get())
  }

  close(): void {
    this.connection.close()
  }

  private async run(sql: string, parameters: readonly unknown[]): Promise<void> {
    await this.connection.write((run) => run(sql).run(...parameters), PATIENCE)
  }
}

function byId(a: TakenRow, b: TakenRow): number {
  return a.id < b.id ? -1 : 1
}

/** Every statement, by name. Rows are passed as JSON, so that each is prepared once. */
export function statements({ table, columns: c }: ReturnType<typeof tableNames<BackgroundedOutboxRow>>) {
  const due =
    `SELECT id FROM (SELECT ${c.id} AS id FROM ${table} WHERE ${c.source} = ? AND ${c.destination} = ? ` +
    `AND ${c.availableAt} <= ? ORDER BY ${c.availableAt}, ${c.id} LIMIT ?)`
  const overdue = (condition: string) =>
    `SELECT destination FROM (SELECT ${c.destination} AS destination FROM ${table} WHERE ${c.source} = ? AND ${condition} ` +
    `AND ${c.availableAt} <= ? LIMIT 1)`
  const ids = 'SELECT value FROM json_each(?)'
  const returning = `RETURNING ${c.id} AS id, ${c.payload} AS payload, ${c.writtenAt} AS "writtenAt"`
  return {
    insert:
      `INSERT INTO ${table} (${c.id}, ${c.source}, ${c.destination}, ${c.payload}, ${c.writtenAt}, ${c.availableAt}) ` +
      `SELECT value ->> '$.id', ?, ?, value ->> '$.payload', ?, ? FROM json_each(?) WHERE true ON CONFLICT DO NOTHING`,
    // The index (source, destination, available_at).
    find: `SELECT 1 FROM ${table} WHERE ${c.source} = ? AND ${c.destination} IN (?, '') AND ${c.availableAt} <= ? LIMIT 1`,
    take: `UPDATE ${table} SET ${c.availableAt} = ? WHERE ${c.id} IN (${due} UNION ALL ${due} LIMIT ?) ${returning}`,
    // The primary key.
    takeThese: `UPDATE ${table} SET ${c.availableAt} = ? WHERE ${c.id} IN (${ids}) AND ${c.availableAt} <= ? ${returning}`,
    release: `UPDATE ${table} SET ${c.availableAt} = ? WHERE ${c.id} IN (${ids})`,
    remove: `DELETE FROM ${table} WHERE ${c.id} IN (${ids})`,
    // The index (source, destination, available_at).
    stranded: `${overdue(`${c.destination} > ?`)} UNION ALL ${overdue(`${c.destination} > '' AND ${c.destination} < ?`)}`,
    check: `SELECT ${Object.values(c).join(', ')} FROM ${table} WHERE 1 = 0`,
  }
}
