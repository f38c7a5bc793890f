import { createConnection, type RowDataPacket } from 'mysql2/promise'
import type { ServerPlace } from './place'

const SERVER = {
  host: process.env.MYSQL_HOST ?? '127.0.0.1',
  port: Number(process.env.MYSQL_PORT ?? 3306),
  user: process.env.MYSQL_USER ?? 'root',
  password: process.env.MYSQL_PASSWORD ?? '',
}

export async function createMariaDb(database: string): Promise<ServerPlace> {
  await query(`CREATE DATABASE ${database}`)
  return { ...SERVER, database }
}

export async function dropMariaDb({ database }: ServerPlace): Promise<void> {
  // A connection of a process that was ended may hold the drop up.
  const others = await query('SELECT id FROM information_schema.processlist WHERE db = ?', [database])
  for (const { id } of others) await query(`KILL ${Number(id)}`).catch(() => {})
  await query(`DROP DATABASE IF EXISTS ${database}`)
}

export async function mariaDbVersion(): Promise<string> {
  const [row] = await query('SELECT version() AS version')
  return String(row?.version)
}

/** In MB. */
export async function bufferPoolSize(): Promise<number> {
  const [row] = await query('SELECT @@innodb_buffer_pool_size AS size')
  return Number(row?.size) / 2 ** 20
}

async function query(sql: string, values: string[] = []): Promise<RowDataPacket[]> {
  const connection = await createConnection(SERVER)
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql, values)
    return rows
  } finally {
    await connection.end()
  }
}
